-- One row per (cohort_by, cohort, tenure_days): the share of a cohort that stays so long.
with users as (
    select * from {{ ref('dim_users') }}
),

lives as (
    select
        user_id,
        greatest(0, datediff(to_date(first_seen_at), to_date(registered_at))) as entry_days,
        greatest(0, datediff(
            coalesce(to_date(churned_at), max(to_date(last_seen_at)) over ()),
            to_date(registered_at)
        )) as exit_days,
        is_churned,
        to_date(date_trunc('week', registered_at)) as registration_week,
        first_level,
        platform
    from users
    where registered_at is not null
),

members as (
    select
        stack(
            4,
            'all', 'all',
            'registration_week', cast(registration_week as string),
            'level', first_level,
            'platform', platform
        ) as (cohort_by, cohort),
        entry_days,
        exit_days,
        is_churned
    from lives
    -- A churn on the day before the first event is no observation.
    where exit_days >= entry_days
),

moves as (
    select
        cohort_by,
        cohort,
        entry_days as tenure_days,
        count(*) as entered_count,
        0 as left_count,
        0 as churned_count
    from members
    where cohort is not null
    group by cohort_by, cohort, entry_days

    union all

    select
        cohort_by,
        cohort,
        exit_days as tenure_days,
        0 as entered_count,
        count(*) as left_count,
        count_if(is_churned) as churned_count
    from members
    where cohort is not null
    group by cohort_by, cohort, exit_days
),

days as (
    select
        cohort_by,
        cohort,
        tenure_days,
        sum(entered_count) as entered_count,
        sum(left_count) as left_count,
        sum(churned_count) as churned_count
    from moves
    group by cohort_by, cohort, tenure_days
),

at_risk as (
    select
        *,
        -- Users are seen from their first day in the data on, not from their registration.
        sum(entered_count) over to_day - sum(left_count) over to_day + left_count as at_risk_count
    from days
    window to_day as (
        partition by cohort_by, cohort order by tenure_days
        rows between unbounded preceding and current row
    )
),

products as (
    select
        *,
        max(churned_count = at_risk_count) over to_day as is_nobody_left,
        sum(ln(1 - churned_count / at_risk_count)) over to_day as log_survival,
        sum(churned_count / (at_risk_count * (at_risk_count - churned_count))) over to_day
            as greenwood_variance
    from at_risk
    window to_day as (
        partition by cohort_by, cohort order by tenure_days
        rows between unbounded preceding and current row
    )
),

curves as (
    select
        cohort_by,
        cohort,
        cast(tenure_days as int) as tenure_days,
        at_risk_count,
        churned_count,
        if(is_nobody_left, 0.0, exp(log_survival)) as survival,
        -- Limits on the scale of log(-log), so that they stay between 0 and 1.
        if(
            is_nobody_left or log_survival = 0,
            null,
            exp(log_survival * exp(1.959963984540054 * sqrt(greenwood_variance) / -log_survival))
        ) as ci_low,
        if(
            is_nobody_left or log_survival = 0,
            null,
            exp(log_survival * exp(-1.959963984540054 * sqrt(greenwood_variance) / -log_survival))
        ) as ci_high
    from products
)

select * from curves
