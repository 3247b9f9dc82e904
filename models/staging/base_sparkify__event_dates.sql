-- One row per event_date with accepted events: which versions of which files they come from.
with rows_by_file as (
    select
        event_date,
        source_file,
        input_version,
        count(*) as row_count
    from {{ ref('base_sparkify__rows') }}
    where rejection_reason is null
    group by event_date, source_file, input_version
),

event_dates as (
    select
        event_date,
        sum(row_count) as row_count,
        bit_xor(xxhash64(source_file, input_version, row_count)) as input_version
    from rows_by_file
    group by event_date
)

select * from event_dates
