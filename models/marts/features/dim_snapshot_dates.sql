-- One row per as_of_date of history: every snapshot_weekday with enough data before it.
with days as (
    select
        activity_date,
        max(input_version) as input_version
    from {{ ref('fct_user_days') }}
    group by activity_date
),

period as (
    select
        *,
        -- next_day is strictly later, so it starts one day early.
        next_day(
            date_add(first_date, {{ var('min_history_days') }} - 1), '{{ var("snapshot_weekday") }}'
        ) as first_snapshot
    from (
        {{ observed_period('days') | indent(8) }}
    )
),

dated as (
    select
        days.activity_date,
        days.input_version,
        period.first_date,
        period.scoring_date,
        explode(
            sequence(period.first_snapshot, period.scoring_date, interval 7 days)
        ) as as_of_date
    from days
    cross join period
    -- A sequence that starts after its end would run backwards.
    where period.first_snapshot <= period.scoring_date
),

observed as (
    select
        *,
        date_add(as_of_date, {{ var('horizon_days') }}) <= scoring_date as is_observed
    from dated
),

snapshot_dates as (
    select
        as_of_date,
        first_date,
        is_observed,
        bit_xor(xxhash64(activity_date, input_version)) as days_version
    from observed
    -- Features see the days before; a label, once observed, those up to the horizon.
    where activity_date < date_add(as_of_date, if(is_observed, {{ var('horizon_days') }}, 0))
    group by as_of_date, first_date, is_observed
),

versioned as (
    select
        as_of_date,
        first_date,
        is_observed,
        xxhash64(first_date, is_observed, days_version) as input_version
    from snapshot_dates
)

select * from versioned
