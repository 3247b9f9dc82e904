{#
    The features of every eligible user as of every given date: the one definition that history
    and scoring share.

        {{ user_features('user_days', 'as_of_dates') }}
            ->  select user_id, as_of_date, sum(if(days_ago <= 7, song_count, 0)) ... from
                user_days join as_of_dates on activity_date < as_of_date group by ...

    As of D nothing dated D or later is read. Eligible is who was active in the `active_days`
    before D and has not churned before D. What reaches back beyond the longest window is carried
    along from day to day, so a date costs its window, however long the log is.

    Arguments:
        user_days: a CTE with the columns of fct_user_days.
        as_of_dates: a CTE with as_of_date and first_date, the first day of the data.
        carried: further columns of as_of_dates to hand on.
#}
{% macro user_features(user_days, as_of_dates, carried=[]) %}
{%- set windows = var('feature_windows') -%}
{%- set short, long = windows | first, windows | last -%}
{%- set as_of_columns = (['as_of_date', 'first_date'] + carried) | join(', ') -%}
{%- set counted = [
    'song_count', 'session_count', 'thumbs_up_count', 'thumbs_down_count', 'advert_count',
] -%}
{%- set to_date = ['song_count', 'thumbs_up_count', 'thumbs_down_count'] -%}
{%- set rarer = [
    'add_to_playlist_count', 'add_friend_count', 'home_count', 'error_count', 'help_count',
    'settings_count', 'downgrade_page_count', 'upgrade_page_count', 'submit_downgrade_count',
    'submit_upgrade_count',
] -%}
select
    user_id,
    as_of_date,
    -- volume
    {%- for days in windows %}
    active_day_count_{{ days }}d,
    {%- for signal in counted %}
    {{ signal }}_{{ days }}d,
    {%- endfor %}
    listening_s_{{ days }}d,
    {%- endfor %}
    {%- for signal in rarer %}
    {{ signal }}_{{ long }}d,
    {%- endfor %}
    -- rates, over the days the user was observed
    {%- for days in windows %}
    {{ ratio('song_count_' ~ days ~ 'd', 'observed_day_count_' ~ days ~ 'd') }}
        as song_count_per_day_{{ days }}d,
    {%- endfor %}
    {{ ratio('session_count_' ~ long ~ 'd', 'observed_day_count_' ~ long ~ 'd') }}
        as session_count_per_day_{{ long }}d,
    {{ ratio('active_day_count_' ~ long ~ 'd', 'observed_day_count_' ~ long ~ 'd') }}
        as active_day_share_{{ long }}d,
    {{ ratio('active_day_count_to_date', 'observed_day_count_to_date') }}
        as active_day_share_to_date,
    -- ratios
    {%- for days in [short, long] %}
    {%- for signal in ['thumbs_up', 'thumbs_down'] %}
    {{ ratio(signal ~ '_count_' ~ days ~ 'd', 'song_count_' ~ days ~ 'd') }}
        as {{ signal }}_per_song_{{ days }}d,
    {%- endfor %}
    {{ ratio('advert_count_' ~ days ~ 'd', 'listening_s_' ~ days ~ 'd / 3600') }}
        as advert_per_hour_{{ days }}d,
    {{ ratio('song_count_' ~ days ~ 'd', 'session_count_' ~ days ~ 'd') }}
        as song_per_session_{{ days }}d,
    {%- endfor %}
    {%- for signal in ['thumbs_up', 'thumbs_down'] %}
    {{ ratio(signal ~ '_count_to_date', 'song_count_to_date') }} as {{ signal }}_per_song_to_date,
    {%- endfor %}
    {%- for signal in ['add_to_playlist', 'add_friend'] %}
    {{ ratio(signal ~ '_count_' ~ long ~ 'd', 'song_count_' ~ long ~ 'd') }}
        as {{ signal }}_per_song_{{ long }}d,
    {%- endfor %}
    {%- for signal in ['error', 'help'] %}
    {{ ratio(signal ~ '_count_' ~ long ~ 'd', 'session_count_' ~ long ~ 'd') }}
        as {{ signal }}_per_session_{{ long }}d,
    {%- endfor %}
    -- trends: the short rate over the long one, 1 where there was nothing to compare
    {%- for signal in [
        'active_day_count', 'session_count', 'song_count', 'thumbs_up_count', 'thumbs_down_count',
        'advert_count',
    ] %}
    {{ ratio(
        signal ~ '_' ~ short ~ 'd * observed_day_count_' ~ long ~ 'd',
        signal ~ '_' ~ long ~ 'd * observed_day_count_' ~ short ~ 'd',
        otherwise='1.0'
    ) }} as {{ signal }}_trend_{{ short }}d_{{ long }}d,
    {%- endfor %}
    -- recency and gaps
    datediff(as_of_date, last_active_date) as days_since_last_active,
    datediff(as_of_date, last_thumbs_down_date) as days_since_last_thumbs_down,
    datediff(as_of_date, last_error_date) as days_since_last_error,
    coalesce(max_gap_days_{{ long }}d, 0) as max_gap_days_{{ long }}d,
    -- variety
    least(1.0, {{ ratio('distinct_artist_count', 'song_count_' ~ long ~ 'd') }})
        as distinct_artist_per_song_{{ long }}d,
    least(1.0, {{ ratio('distinct_song_count', 'song_count_' ~ long ~ 'd') }})
        as distinct_song_per_song_{{ long }}d,
    -- subscription
    last_level = 'paid' as is_paid,
    -- greatest alone would pass over a null.
    if(registered_at is null, null, greatest(0, datediff(as_of_date, to_date(registered_at))))
        as tenure_days,
    {{ ratio('paid_event_count', 'event_count') }} as paid_event_share_{{ long }}d,
    datediff(as_of_date, last_level_change_date) as days_since_last_level_change,
    -- habit
    {{ ratio('weekend_song_count', 'song_count_' ~ long ~ 'd') }}
        as weekend_song_share_{{ long }}d,
    {{ ratio('night_song_count', 'song_count_' ~ long ~ 'd') }} as night_song_share_{{ long }}d,
    -- context
    observed_day_count_{{ long }}d,
    coalesce(to_date(registered_at) < first_date, false) as is_left_censored,
    gender,
    last_platform as platform,
    last_state as state
    {%- for column in carried %},
    {{ column }}
    {%- endfor %}
from (
    select
        user_id,
        {{ as_of_columns }},
        {%- for days in windows %}
        count_if(days_ago <= {{ days }}) as active_day_count_{{ days }}d,
        {%- for signal in counted %}
        sum(if(days_ago <= {{ days }}, {{ signal }}, 0)) as {{ signal }}_{{ days }}d,
        {%- endfor %}
        cast(sum(if(days_ago <= {{ days }}, listening_s, 0)) as double)
            as listening_s_{{ days }}d,
        least({{ days }}, datediff(as_of_date, min(first_active_date)))
            as observed_day_count_{{ days }}d,
        {%- endfor %}
        {%- for signal in rarer %}
        sum(if(days_ago <= {{ long }}, {{ signal }}, 0)) as {{ signal }}_{{ long }}d,
        {%- endfor %}
        sum(if(days_ago <= {{ long }}, event_count, 0)) as event_count,
        sum(if(days_ago <= {{ long }}, paid_event_count, 0)) as paid_event_count,
        sum(if(days_ago <= {{ long }} and weekday(activity_date) >= 5, song_count, 0))
            as weekend_song_count,
        sum(if(days_ago <= {{ long }}, night_song_count, 0)) as night_song_count,
        max(if(days_ago <= {{ long }}, gap_days, null)) as max_gap_days_{{ long }}d,
        datediff(as_of_date, min(first_active_date)) as observed_day_count_to_date,
        max(active_day_count_to_date) as active_day_count_to_date,
        {%- for signal in to_date %}
        max({{ signal }}_to_date) as {{ signal }}_to_date,
        {%- endfor %}
        max(activity_date) as last_active_date,
        max(last_thumbs_down_date) as last_thumbs_down_date,
        max(last_error_date) as last_error_date,
        max(last_level_change_date) as last_level_change_date,
        hll_sketch_estimate(hll_union_agg(if(days_ago <= {{ long }}, artist_sketch, null)))
            as distinct_artist_count,
        hll_sketch_estimate(hll_union_agg(if(days_ago <= {{ long }}, song_sketch, null)))
            as distinct_song_count,
        max_by(last_level, activity_date) as last_level,
        max_by(last_platform, activity_date) as last_platform,
        max_by(last_state, activity_date) as last_state,
        max_by(gender, activity_date) as gender,
        max_by(registered_at, activity_date) as registered_at
    from (
        select
            known_days.*,
            {{ as_of_columns }},
            datediff(as_of_date, activity_date) as days_ago
        from (
            select
                *,
                min(activity_date) over to_day as first_active_date,
                count(*) over to_day as active_day_count_to_date,
                {%- for signal in to_date %}
                sum({{ signal }}) over to_day as {{ signal }}_to_date,
                {%- endfor %}
                max(if(thumbs_down_count > 0, activity_date, null)) over to_day
                    as last_thumbs_down_date,
                max(if(error_count > 0, activity_date, null)) over to_day as last_error_date,
                max(if(submit_upgrade_count + submit_downgrade_count > 0, activity_date, null))
                    over to_day as last_level_change_date,
                max(gap_days) over to_day as longest_gap_days,
                count(first_churn_at) over to_day as churn_day_count
            from (
                select
                    * except (input_version),
                    datediff(
                        activity_date,
                        lag(activity_date) over (partition by user_id order by activity_date)
                    ) as gap_days
                from {{ user_days }}
            ) as paced_days
            window to_day as (
                partition by user_id order by activity_date
                rows between unbounded preceding and current row
            )
        ) as known_days
        inner join {{ as_of_dates }} as as_of_dates
            on activity_date < as_of_date and activity_date >= date_sub(as_of_date, {{ long }})
    )
    group by user_id, {{ as_of_columns }}
    having
        max(activity_date) >= date_sub(as_of_date, {{ var('active_days') }})
        and {{ not_churned() | indent(8) }}
)
{%- endmacro %}
