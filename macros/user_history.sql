{#
    What was known of every user at the end of each active day, from a narrow pass over all days:
    what reaches back beyond the longest window.

        history as ({{ user_history('user_days', to_date=['song_count'], decayed=['error_count'],
                                    decay_days=28) }})
            ->  ... song_count_to_date, error_count_decayed, last_error_date, gender_to_date, ...

    Decayed: an event of the day counts 1, one of decay_days earlier 1/e. Weights that grow with the
    days since a user's first make a running sum of it. They begin anew after each era of 300
    decay_days, so that decades do not overflow; what an era carries into the next has e^-300 of
    its weight there, what lies before that none.

    Arguments:
        user_days: a CTE with the columns of fct_user_days.
        to_date, decayed: columns to add up as they are, and decayed.
        decay_days: after which 1/e of an event is left.
#}
{% macro user_history(user_days, to_date, decayed, decay_days) -%}
{%- set carried = (
    to_date + decayed + ['error_count', 'submit_upgrade_count', 'submit_downgrade_count']
) | unique -%}
{%- set last_dates = {
    'thumbs_down': 'thumbs_down_count', 'error': 'error_count',
    'level_change': 'submit_upgrade_count + submit_downgrade_count',
} -%}
with days as (
    select
        user_id,
        activity_date,
        first_churn_at,
        {{ (carried | list + last_known()) | join(', ') }},
        first_value(activity_date) over (partition by user_id order by activity_date)
            as first_active_date,
        datediff(
            activity_date, lag(activity_date) over (partition by user_id order by activity_date)
        ) as gap_days
    from {{ user_days }}
),

weighted as (
    select
        *,
        datediff(activity_date, first_active_date) / {{ decay_days }} as decay_times,
        cast(floor(decay_times / 300) as bigint) as era,
        exp(decay_times - 300 * era) as weight
    from days
)

select
    *,
    count(*) over to_day as active_day_count_to_date,
    {%- for signal in to_date %}
    sum({{ signal }}) over to_day as {{ signal }}_to_date,
    {%- endfor %}
    {%- for signal in decayed %}
    (
        sum({{ signal }} * weight) over era_to_day
        + coalesce(sum({{ signal }} * weight) over era_before, 0) * exp(-300)
    ) / weight as {{ signal }}_decayed,
    {%- endfor %}
    {%- for name, count in last_dates.items() %}
    max(if({{ count }} > 0, activity_date, null)) over to_day as last_{{ name }}_date,
    {%- endfor %}
    {%- for attribute in last_known() %}
    last_value({{ attribute }}) ignore nulls over to_day as {{ attribute }}_to_date,
    {%- endfor %}
    max(gap_days) over to_day as longest_gap_days,
    count(first_churn_at) over to_day as churn_day_count
from weighted
window
    to_day as (
        partition by user_id order by era, activity_date
        rows between unbounded preceding and current row
    ),
    era_to_day as (
        partition by user_id, era order by activity_date
        rows between unbounded preceding and current row
    ),
    era_before as (
        partition by user_id order by era range between 1 preceding and 1 preceding
    )
{%- endmacro %}
