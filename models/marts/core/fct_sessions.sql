-- One row per (user_id, session_id): real logs reuse a session id across users.
with session_days as (
    select * from {{ ref('int_sparkify__session_days') }}
),

sessions as (
    select
        user_id,
        session_id,
        min(first_event_at) as started_at,
        max(last_event_at) as ended_at,
        min(event_date) as started_date,
        unix_seconds(max(last_event_at)) - unix_seconds(min(first_event_at)) as duration_s,
        sum(event_count) as event_count,
        sum(song_count) as song_count,
        sum(error_count) as error_count,
        cast(sum(listening_s) as decimal(22, 5)) as listening_s,
        max(last_level).level as last_level,
        bit_xor(xxhash64(event_date, input_version)) as session_version
    from session_days
    group by user_id, session_id
),

versioned as (
    select
        * except (session_version),
        bit_xor(xxhash64(user_id, session_id, session_version)) over (
            partition by started_date
        ) as input_version
    from sessions
)

select * from versioned
