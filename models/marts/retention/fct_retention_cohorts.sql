-- One row per (cohort_by, cohort, tenure_days): the share of a cohort that stays so long.
with users as (
    select * from {{ ref('dim_users') }}
),

-- The period is that of all users, with a known registration or not.
observed as (
    select
        *,
        {{ entry_date('to_date(first_seen_at)', 'to_date(first_registered_at)',
            'min(to_date(first_seen_at)) over ()') | indent(8) }} as entry_date,
        max(to_date(last_seen_at)) over () as last_date
    from users
),

lives as (
    select
        user_id,
        greatest(0, datediff(entry_date, to_date(first_registered_at))) as entry_days,
        greatest(0, datediff(
            coalesce(to_date(churned_at), last_date), to_date(first_registered_at)
        )) as exit_days,
        is_churned,
        to_date(date_trunc('week', first_registered_at)) as registration_week,
        first_level,
        platform
    from observed
    where first_registered_at is not null and entry_date is not null
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
    -- Who is not seen after the day of entry was never at risk.
    where exit_days > entry_days
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
        -- As many are at risk on each day since the one before on which somebody came or went.
        coalesce(lag(tenure_days) over by_day + 1, tenure_days) as since_tenure,
        -- Users count from the day after their first one in the data, not from registration.
        left_count - entered_count + sum(entered_count - left_count) over to_day as at_risk_count
    from days
    window
        by_day as (partition by cohort_by, cohort order by tenure_days),
        to_day as (
            partition by cohort_by, cohort order by tenure_days
            rows between unbounded preceding and current row
        )
),

stretched as (
    select
        *,
        at_risk_count >= {{ var('min_at_risk') }} as is_enough,
        count_if(at_risk_count < {{ var('min_at_risk') }}) over to_day as stretch
    from at_risk
    window to_day as (
        partition by cohort_by, cohort order by tenure_days
        rows between unbounded preceding and current row
    )
),

stretches as (
    select
        cohort_by,
        cohort,
        stretch,
        min(since_tenure) as entered_at_tenure,
        max(tenure_days) - min(since_tenure) as length_days
    from stretched
    where is_enough
    group by cohort_by, cohort, stretch
),

ranked_stretches as (
    select
        *,
        row_number() over (
            partition by cohort_by, cohort order by length_days desc, stretch asc
        ) as length_rank
    from stretches
),

on_curve as (
    select
        stretched.*,
        ranked_stretches.entered_at_tenure
    from stretched
    left join ranked_stretches
        on
            stretched.cohort_by = ranked_stretches.cohort_by
            and stretched.cohort = ranked_stretches.cohort
            and stretched.stretch = ranked_stretches.stretch
            and stretched.is_enough
            and ranked_stretches.length_rank = 1
),

products as (
    select
        *,
        max(churned_count = at_risk_count) over to_day as is_nobody_left,
        sum(ln(1 - churned_count / nullif(at_risk_count, 0))) over to_day as log_survival,
        sum(
            churned_count / nullif(at_risk_count * (at_risk_count - churned_count), 0)
        ) over to_day as greenwood_variance
    from on_curve
    window to_day as (
        partition by cohort_by, cohort, entered_at_tenure order by tenure_days
        rows between unbounded preceding and current row
    )
),

curves as (
    select
        cohort_by,
        cohort,
        cast(entered_at_tenure as int) as entered_at_tenure,
        cast(tenure_days as int) as tenure_days,
        at_risk_count,
        churned_count,
        case
            when entered_at_tenure is null then null
            when is_nobody_left then 0.0
            else exp(log_survival)
        end as survival,
        -- Limits on the scale of log(-log), so that they stay between 0 and 1.
        if(
            entered_at_tenure is null or is_nobody_left or log_survival = 0,
            null,
            exp(log_survival * exp(1.959963984540054 * sqrt(greenwood_variance) / -log_survival))
        ) as ci_low,
        if(
            entered_at_tenure is null or is_nobody_left or log_survival = 0,
            null,
            exp(log_survival * exp(-1.959963984540054 * sqrt(greenwood_variance) / -log_survival))
        ) as ci_high
    from products
)

select * from curves
