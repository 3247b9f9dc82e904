-- One row per as_of_date of history: every snapshot_weekday with enough data before it.
with days as (
    select
        activity_date,
        max(input_version) as input_version
    from {{ ref('fct_user_days') }}
    group by activity_date
),

period as (
    {{ observed_period('days') | indent(4) }}
),

as_of_dates as (
    select
        first_date,
        scoring_date,
        explode(sequence(first_snapshot, scoring_date, interval 7 days)) as as_of_date
    from (
        select
            *,
            -- next_day is strictly later, so it starts one day early.
            next_day(
                date_add(first_date, {{ var('min_history_days') }} - 1),
                '{{ var("snapshot_weekday") }}'
            ) as first_snapshot
        from period
    )
    -- A sequence that starts after its end would run backwards.
    where first_snapshot <= scoring_date
),

snapshot_dates as (
    select
        as_of_dates.as_of_date,
        as_of_dates.first_date,
        date_add(as_of_dates.as_of_date, {{ var('horizon_days') }}) <= as_of_dates.scoring_date
            as is_observed,
        -- Features see the days before, the label those up to the horizon.
        bit_xor(xxhash64(days.activity_date, days.input_version)) as days_version
    from as_of_dates
    inner join days
        on days.activity_date < date_add(as_of_dates.as_of_date, {{ var('horizon_days') }})
    group by as_of_dates.as_of_date, as_of_dates.first_date, as_of_dates.scoring_date
),

versioned as (
    select
        as_of_date,
        is_observed,
        xxhash64(first_date, is_observed, days_version) as input_version
    from snapshot_dates
)

select * from versioned
