-- One row per as_of_date of history: every snapshot_weekday with enough data before it.
with days as (
    select
        activity_date,
        max(input_version) as input_version,
        min(min(activity_date)) over () as first_date,
        date_add(max(max(activity_date)) over (), 1) as scoring_date
    from {{ ref('fct_user_days') }}
    group by activity_date
),

started as (
    select
        *,
        -- next_day is strictly later, so it starts one day early.
        next_day(
            date_add(first_date, {{ var('min_history_days') }} - 1), '{{ var("snapshot_weekday") }}'
        ) as first_snapshot
    from days
),

dated as (
    select
        *,
        explode(sequence(first_snapshot, scoring_date, interval 7 days)) as as_of_date
    from started
    -- A sequence that starts after its end would run backwards.
    where first_snapshot <= scoring_date
),

snapshot_dates as (
    select
        as_of_date,
        first_date,
        date_add(as_of_date, {{ var('horizon_days') }}) <= scoring_date as is_observed,
        -- Features see the days before, the label those up to the horizon.
        bit_xor(xxhash64(activity_date, input_version)) as days_version
    from dated
    where activity_date < date_add(as_of_date, {{ var('horizon_days') }})
    group by as_of_date, first_date, scoring_date
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
