-- One row per accepted, distinct event.
with accepted as (
    select
        *,
        to_date(event_at) as event_date
    from {{ ref('base_sparkify__rows') }}
    where rejection_reason is null
    -- One shuffle serves the window below and the partitioned write.
    distribute by to_date(event_at)
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
        event_id,
        user_id,
        session_id,
        item_in_session,
        event_at,
        page,
        auth,
        level,
        method,
        status,
        artist,
        song,
        song_length_s,
        gender,
        registered_at,
        state,
        platform,
        source_file,
        copy_count,
        event_date
    from numbered
    where copy_number = 1
)

select * from distinct_events
