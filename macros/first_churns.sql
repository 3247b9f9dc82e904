{#
    When each user churned first, under the churn_definition of the run: one row per such user.

        {{ first_churns('user_days') }}
            ->  select user_id, min(first_churn_at) as churned_at from user_days ...

    Inactivity is a churn on the last of inactive_days days without an event: only then is it
    known. Who comes back later has churned all the same.

    Arguments:
        user_days: a CTE with the columns of fct_user_days.
#}
{% macro first_churns(user_days) -%}
    {% if var('churn_definition') == 'inactive' -%}
        select
            user_id,
            cast(min(date_add(activity_date, {{ var('inactive_days') }})) as timestamp) as churned_at
        from (
            select
                user_id,
                activity_date,
                lead(activity_date) over (
                    partition by user_id order by activity_date
                ) as next_date,
                max(activity_date) over () as last_date
            from {{ user_days }}
        )
        where
            datediff(next_date, activity_date) > {{ var('inactive_days') }}
            or (
                next_date is null
                and datediff(last_date, activity_date) >= {{ var('inactive_days') }}
            )
        group by user_id
    {%- else -%}
        select
            user_id,
            min(first_churn_at) as churned_at
        from {{ user_days }}
        where first_churn_at is not null
        group by user_id
    {%- endif %}
{%- endmacro %}
