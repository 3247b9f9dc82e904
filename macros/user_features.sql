{#
    The features of every eligible user as of every given date: the one definition that history
    and scoring share.

        {{ user_features('user_days', 'as_of_dates') }}
            ->  with history as (...), ... select user_id, as_of_date, song_count_7d, ...

    As of D nothing dated D or later is read. Eligible is who was active in the `active_days`
    before D and has not churned before D. What reaches back beyond the longest window comes from
    user_history; the wide days, with their sketches, are read for the windows alone. The longest
    window is also the time constant of what decays.

    Arguments:
        user_days: a CTE with the columns of fct_user_days.
        as_of_dates: a CTE with as_of_date and first_date, the first day of the data.
        carried: further columns of as_of_dates to hand on.
#}
{% macro user_features(user_days, as_of_dates, carried=[]) %}
{%- set windows = valid_var('feature_windows', otherwise=[1, 2]) -%}
{%- set short, long = windows | first, windows | last -%}
{%- set as_of_columns = (['as_of_date', 'first_date'] + carried) | join(', ') -%}
{%- set counted = [
    'song_count', 'session_count', 'thumbs_up_count', 'thumbs_down_count', 'advert_count',
] -%}
{%- set to_date = ['song_count', 'thumbs_up_count', 'thumbs_down_count'] -%}
{%- set decayed = [
    'thumbs_up_count', 'thumbs_down_count', 'advert_count', 'add_to_playlist_count',
    'add_friend_count', 'error_count',
] -%}
{%- set rarer = [
    'add_to_playlist_count', 'add_friend_count', 'home_count', 'error_count', 'help_count',
    'settings_count', 'downgrade_page_count', 'upgrade_page_count', 'submit_downgrade_count',
    'submit_upgrade_count',
] -%}
with history as (
    {{ user_history(user_days, to_date, decayed, decay_days=long) | indent(4) }}
),

-- What was known of a user before a date, by the user's last day before it.
known as (
    select
        user_id,
        {{ as_of_columns }},
        max(activity_date) as last_active_date,
        max(gap_days) as max_gap_days_{{ long }}d,
        max_by(struct(history.*), activity_date) as last_day
    from history
    inner join {{ as_of_dates }} as as_of_dates
        on activity_date < as_of_date and activity_date >= date_sub(as_of_date, {{ long }})
    group by user_id, {{ as_of_columns }}
    having
        max(activity_date) >= date_sub(as_of_date, {{ var('active_days') }})
        and {{ not_churned() | indent(8) }}
),

-- A day counts as observed, silent or not, if what a user did on it would be in the data.
followed as (
    select
        *,
        to_date(last_day.registered_at_to_date) as registered_date,
        least(
            last_day.first_active_date,
            greatest(
                first_date,
                coalesce(to_date(last_day.registered_at_to_date), last_day.first_active_date)
            )
        ) as observed_from
    from known
),

recent_days as (
    select
        *,
        datediff(as_of_date, activity_date) as days_ago
    from {{ user_days }}
    inner join {{ as_of_dates }} as as_of_dates
        on activity_date < as_of_date and activity_date >= date_sub(as_of_date, {{ long }})
    where {{ within_changed('activity_date', -long, -1) }}
),

windowed as (
    select
        user_id,
        as_of_date,
        {%- for days in windows %}
        count_if(days_ago <= {{ days }}) as active_day_count_{{ days }}d,
        {%- for signal in counted %}
        sum(if(days_ago <= {{ days }}, {{ signal }}, 0)) as {{ signal }}_{{ days }}d,
        {%- endfor %}
        cast(sum(if(days_ago <= {{ days }}, listening_s, 0)) as double)
            as listening_s_{{ days }}d,
        {%- endfor %}
        {%- for signal in rarer %}
        sum({{ signal }}) as {{ signal }}_{{ long }}d,
        {%- endfor %}
        sum(event_count) as event_count,
        sum(paid_event_count) as paid_event_count,
        sum(if(weekday(activity_date) >= 5, song_count, 0)) as weekend_song_count,
        sum(night_song_count) as night_song_count,
        hll_sketch_estimate(hll_union_agg(artist_sketch)) as distinct_artist_count,
        hll_sketch_estimate(hll_union_agg(song_sketch)) as distinct_song_count
    from recent_days
    group by user_id, as_of_date
),

observed as (
    select
        windowed.*,
        {{ (['first_date'] + carried) | join(', ') }},
        last_active_date,
        registered_date,
        max_gap_days_{{ long }}d,
        last_day,
        {%- for days in windows %}
        least({{ days }}, datediff(followed.as_of_date, observed_from))
            as observed_day_count_{{ days }}d,
        {%- endfor %}
        datediff(followed.as_of_date, observed_from) as observed_day_count_to_date,
        -- greatest alone would pass over a null.
        if(
            registered_date is null,
            null,
            greatest(0, datediff(followed.as_of_date, registered_date))
        ) as tenure_days
    from followed
    inner join windowed
        on followed.user_id = windowed.user_id and followed.as_of_date = windowed.as_of_date
)

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
    -- With one more active day and three silent ones: nobody comes on all days or on none.
    ln(
        (last_day.active_day_count_to_date + 1)
        / (observed_day_count_to_date - last_day.active_day_count_to_date + 3)
    ) as active_day_log_odds_to_date,
    -- decayed: an event of the day before counts 1, one of {{ long }} days earlier 1/e
    {%- for signal in decayed %}
    last_day.{{ signal }}_decayed * exp((1 - datediff(as_of_date, last_active_date)) / {{ long }})
        as {{ signal }}_decayed_{{ long }}d,
    {%- endfor %}
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
    {{ ratio('last_day.' ~ signal ~ '_count_to_date', 'last_day.song_count_to_date') }}
        as {{ signal }}_per_song_to_date,
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
    datediff(as_of_date, last_day.last_thumbs_down_date) as days_since_last_thumbs_down,
    datediff(as_of_date, last_day.last_error_date) as days_since_last_error,
    coalesce(max_gap_days_{{ long }}d, 0) as max_gap_days_{{ long }}d,
    -- variety
    least(1.0, {{ ratio('distinct_artist_count', 'song_count_' ~ long ~ 'd') }})
        as distinct_artist_per_song_{{ long }}d,
    least(1.0, {{ ratio('distinct_song_count', 'song_count_' ~ long ~ 'd') }})
        as distinct_song_per_song_{{ long }}d,
    -- subscription
    last_day.last_level_to_date = 'paid' as is_paid,
    tenure_days,
    ln(1 + tenure_days) as tenure_days_log,
    {{ ratio('paid_event_count', 'event_count') }} as paid_event_share_{{ long }}d,
    datediff(as_of_date, last_day.last_level_change_date) as days_since_last_level_change,
    -- habit
    {{ ratio('weekend_song_count', 'song_count_' ~ long ~ 'd') }}
        as weekend_song_share_{{ long }}d,
    {{ ratio('night_song_count', 'song_count_' ~ long ~ 'd') }} as night_song_share_{{ long }}d,
    -- context
    observed_day_count_{{ long }}d,
    coalesce(registered_date < first_date, false) as is_left_truncated,
    last_day.gender_to_date as gender,
    last_day.last_platform_to_date as platform,
    last_day.last_state_to_date as state
    {%- for column in carried %},
    {{ column }}
    {%- endfor %}
from observed
{%- endmacro %}
