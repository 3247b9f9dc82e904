-- One row per (week_start, level): who is active, new, back, lost and churned in a week.
{%- set look_back_days = [
    var('active_days') | int,
    var('inactive_days') | int if var('churn_definition') == 'inactive' else 0,
    7,
] | max %}
with user_days as (
    select * from {{ ref('fct_user_days') }}
),

users as (
    select * from {{ ref('dim_users') }}
),

period as (
    {{ observed_period('user_days') | indent(4) }}
),

-- A day matters in its own week and in those that look back on it.
day_weeks as (
    select
        user_id,
        activity_date,
        last_level,
        explode(sequence(
            to_date(date_trunc('week', activity_date)),
            date_add(activity_date, {{ look_back_days }}),
            interval 7 days
        )) as week_start
    from user_days
),

user_weeks as (
    select
        user_id,
        week_start,
        -- A form that changes the level changes that of the rest of the week.
        coalesce(
            max_by(last_level, activity_date) filter (
                where last_level is not null and activity_date < week_start
            ),
            min_by(last_level, activity_date) filter (where last_level is not null)
        ) as level,
        max(activity_date) >= week_start as is_active,
        max(
            activity_date between date_sub(week_start, 7) and date_sub(week_start, 1)
        ) as was_active
    from day_weeks
    group by user_id, week_start
),

judged as (
    select
        user_weeks.week_start,
        coalesce(user_weeks.level, 'unknown') as level,
        user_weeks.is_active,
        user_weeks.was_active,
        to_date(users.first_seen_at) >= user_weeks.week_start as is_new,
        coalesce(to_date(users.churned_at) >= user_weeks.week_start, true) as is_at_risk,
        coalesce(
            to_date(users.churned_at) >= user_weeks.week_start
            and to_date(users.churned_at) < date_add(user_weeks.week_start, 7),
            false
        ) as is_churned,
        date_sub(user_weeks.week_start, {{ look_back_days }}) >= period.first_date
            as has_look_back,
        least(7, datediff(period.scoring_date, user_weeks.week_start))
        - greatest(0, datediff(period.first_date, user_weeks.week_start)) as observed_day_count
    from user_weeks
    inner join users on user_weeks.user_id = users.user_id
    cross join period
    where user_weeks.week_start < period.scoring_date
),

weeks as (
    select
        week_start,
        level,
        cast(max(observed_day_count) as int) as observed_day_count,
        count_if(is_active) as active_user_count,
        count_if(is_active and is_new) as new_user_count,
        count_if(is_active and was_active) as retained_user_count,
        count_if(is_active and not is_new and not was_active) as returned_user_count,
        count_if(was_active and not is_active) as lost_user_count,
        count_if(is_at_risk) as at_risk_user_count,
        count_if(is_churned) as churned_user_count,
        if(
            bool_and(has_look_back) and max(observed_day_count) = 7,
            count_if(is_churned) / nullif(count_if(is_at_risk), 0),
            null
        ) as churn_rate
    from judged
    group by week_start, level
)

select * from weeks
