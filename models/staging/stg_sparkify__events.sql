-- One row per accepted, distinct event.
with accepted as (
    select *
    from {{ ref('base_sparkify__rows') }}
    where rejection_reason is null
    -- One shuffle serves the window below and the partitioned write.
    distribute by event_date
),

event_dates as (
    select
        event_date,
        input_version
    from {{ ref('base_sparkify__event_dates') }}
),

numbered as (
    select
        *,
        row_number() over (partition by event_date, event_id order by source_file) as copy_number,
        count(*) over (partition by event_date, event_id) as copy_count
    from accepted
),

distinct_events as (
    select
        numbered.event_id,
        numbered.user_id,
        numbered.session_id,
        numbered.item_in_session,
        numbered.event_at,
        numbered.page,
        numbered.auth,
        numbered.level,
        numbered.method,
        numbered.status,
        numbered.artist,
        numbered.song,
        numbered.song_length_s,
        numbered.gender,
        numbered.registered_at,
        numbered.state,
        numbered.platform,
        numbered.source_file,
        numbered.copy_count,
        event_dates.input_version,
        numbered.event_date
    from numbered
    inner join event_dates on numbered.event_date = event_dates.event_date
    where numbered.copy_number = 1
)

select * from distinct_events
