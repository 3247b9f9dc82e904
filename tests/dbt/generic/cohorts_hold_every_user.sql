{#
    Of every way to divide the users, the cohorts hold each churn of a user with a known registration
    once, but for those up to the day from which the user is watched.
#}
{% test cohorts_hold_every_user(model) %}
with cohorts as (
    select
        sum(if(cohort_by = 'all', churned_count, 0)) as in_all,
        sum(if(cohort_by = 'registration_week', churned_count, 0)) as in_weeks
    from {{ model }}
),

watched as (
    select
        *,
        {{ entry_date('to_date(first_seen_at)', 'to_date(first_registered_at)',
            'min(to_date(first_seen_at)) over ()') | indent(8) }} as entry_date
    from {{ ref('dim_users') }}
),

users as (
    select count_if(is_churned) as churned_count
    from watched
    where
        first_registered_at is not null
        and entry_date is not null
        and to_date(churned_at) > greatest(entry_date, to_date(first_registered_at))
)

select *
from cohorts
cross join users
where
    coalesce(cohorts.in_all, 0) != users.churned_count
    or coalesce(cohorts.in_weeks, 0) != users.churned_count
{% endtest %}
