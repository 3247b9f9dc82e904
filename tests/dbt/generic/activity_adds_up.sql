{#
    Week by week and over all levels, the active users are those of fct_user_days, and are new,
    retained or back; those of the week before were retained or lost. All weeks together hold every
    churn of dim_users once.
#}
{% test activity_adds_up(model) %}
with weeks as (
    select
        week_start,
        sum(active_user_count) as active_count,
        sum(new_user_count + retained_user_count + returned_user_count) as parts_count,
        sum(retained_user_count + lost_user_count) as before_count,
        lag(sum(active_user_count), 1, 0) over (order by week_start) as previous_count
    from {{ model }}
    group by week_start
),

days as (
    select
        to_date(date_trunc('week', activity_date)) as week_start,
        count(distinct user_id) as user_count
    from {{ ref('fct_user_days') }}
    group by 1
),

wrong_weeks as (
    select
        weeks.week_start,
        weeks.active_count as found_count,
        coalesce(days.user_count, 0) as expected_count
    from weeks
    full join days on weeks.week_start = days.week_start
    where
        coalesce(weeks.active_count, 0) != coalesce(days.user_count, 0)
        or weeks.active_count != weeks.parts_count
        or weeks.before_count != weeks.previous_count
),

wrong_churns as (
    select
        cast(null as date) as week_start,
        (select coalesce(sum(churned_user_count), 0) from {{ model }}) as found_count,
        (select count_if(is_churned) from {{ ref('dim_users') }}) as expected_count
)

select * from wrong_weeks
union all
select * from wrong_churns
where found_count != expected_count
{% endtest %}
