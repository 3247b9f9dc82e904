-- One row per accepted, distinct event.
with accepted as (
    select * from {{ ref('base_sparkify__rows') }}
    where rejection_reason is null
),

copies as (
    select * from {{ ref('base_sparkify__copies') }}
    where event_id is not null
),

single_events as (
    select
        accepted.*,
        1 as copy_count
    from accepted
    left anti join copies
        on accepted.user_id = copies.user_id and accepted.event_id = copies.event_id
),

-- Copies are alike in every column but the file and the line, so any of them will do.
copied_events as (
    select
        accepted.event_id,
        accepted.user_id,
        any_value(struct(accepted.*)) as event,
        min(copies.source_file) as source_file,
        min(copies.copy_count) as copy_count
    from accepted
    inner join copies
        on accepted.user_id = copies.user_id and accepted.event_id = copies.event_id
    group by accepted.event_id, accepted.user_id
),

events as (
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
    from single_events

    union all

    select
        event_id,
        user_id,
        event.session_id,
        event.item_in_session,
        event.event_at,
        event.page,
        event.auth,
        event.level,
        event.method,
        event.status,
        event.artist,
        event.song,
        event.song_length_s,
        event.gender,
        event.registered_at,
        event.state,
        event.platform,
        source_file,
        copy_count,
        event.event_date
    from copied_events
)

select * from events
