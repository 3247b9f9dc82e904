-- One row per (user_id, session_id): real logs reuse a session id across users.
with events as (
    select * from {{ ref('stg_sparkify__events') }}
),

sessions as (
    select
        user_id,
        session_id,
        min(event_at) as started_at,
        max(event_at) as ended_at,
        to_date(min(event_at)) as started_date,
        unix_seconds(max(event_at)) - unix_seconds(min(event_at)) as duration_s,
        count(*) as event_count,
        count_if(page = 'NextSong') as song_count,
        count_if(page = 'Error') as error_count,
        -- A decimal adds up to the same whatever the order; a double does not.
        coalesce(sum(cast(song_length_s as decimal(12, 5))), 0) as listening_s,
        max_by(level, struct(event_at, item_in_session)) as last_level
    from events
    group by user_id, session_id
)

select * from sessions
