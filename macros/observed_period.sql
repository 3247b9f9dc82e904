{#
    The first day of data and the day after the last: one row.

        {{ observed_period(ref('fct_user_days')) }}
            ->  select min(activity_date) as first_date, date_add(max(activity_date), 1) as
                scoring_date from sparkify.fct_user_days

    Arguments:
        user_days: a relation or CTE with activity_date.
#}
{% macro observed_period(user_days) -%}
    select
        min(activity_date) as first_date,
        date_add(max(activity_date), 1) as scoring_date
    from {{ user_days }}
{%- endmacro %}
