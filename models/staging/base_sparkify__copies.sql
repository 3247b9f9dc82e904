-- One row per event of which there are several rows, and one per event_date without an event_id:
-- nearly no day has copies, and every day has to have a version.
with accepted as (
    select
        event_date,
        user_id,
        event_id,
        source_file
    from {{ ref('base_sparkify__rows') }}
    where rejection_reason is null
),

event_dates as (
    select
        event_date,
        input_version
    from {{ ref('base_sparkify__event_dates') }}
),

copied as (
    select
        event_date,
        user_id,
        event_id,
        min(source_file) as source_file,
        count(*) as copy_count
    from accepted
    group by event_date, user_id, event_id
    having count(*) > 1
),

copies as (
    select
        event_dates.event_date,
        copied.user_id,
        copied.event_id,
        copied.source_file,
        copied.copy_count,
        event_dates.input_version
    from event_dates
    inner join copied on event_dates.event_date = copied.event_date

    union all

    select
        event_date,
        null as user_id,
        null as event_id,
        null as source_file,
        null as copy_count,
        input_version
    from event_dates
)

select * from copies
