-- One row per event_date: what its events are made of, the rows and which of them are copies.
with rows_of_dates as (
    select
        event_date,
        row_count,
        input_version
    from {{ ref('base_sparkify__event_dates') }}
),

copies_of_dates as (
    select
        event_date,
        input_version
    from {{ ref('base_sparkify__copies') }}
    where event_id is null
),

event_dates as (
    select
        rows_of_dates.event_date,
        rows_of_dates.row_count,
        -- Both were made from the same rows, unless only one of them was built again.
        xxhash64(rows_of_dates.input_version, copies_of_dates.input_version) as input_version
    from rows_of_dates
    left join copies_of_dates on rows_of_dates.event_date = copies_of_dates.event_date
)

select * from event_dates
