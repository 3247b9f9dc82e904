-- One row per (user_id, activity_date): everything later windows add up.
with events as (
    select * from {{ ref('stg_sparkify__events') }}
),

sessions as (
    select * from {{ ref('fct_sessions') }}
),

daily as (
    select
        user_id,
        event_date as activity_date,
        min(event_at) as first_event_at,
        max(event_at) as last_event_at,
        count(*) as event_count,
        {%- for column, page in page_counts().items() %}
        count_if(page = '{{ page }}') as {{ column }},
        {%- endfor %}
        count_if(page in ({{ sql_list(var('churn_pages')) }})) as churn_event_count,
        count_if(page = 'NextSong' and hour(event_at) < 6) as night_song_count,
        count_if(level = 'paid') as paid_event_count,
        -- A decimal adds up to the same whatever the order; a double does not.
        coalesce(sum(cast(song_length_s as decimal(12, 5))), 0) as listening_s,
        -- The state of the user at the end of the day, the later of equal times by position.
        max_by(
            struct(level, platform, state, gender, registered_at),
            struct(event_at, item_in_session, event_id)
        ) as last_known,
        hll_sketch_agg(artist) as artist_sketch,
        hll_sketch_agg(song) as song_sketch
    from events
    group by user_id, event_date
),

started_sessions as (
    select
        user_id,
        started_date as activity_date,
        count(*) as session_count
    from sessions
    group by user_id, started_date
),

user_days as (
    select
        daily.* except (last_known),
        -- A session counts on the day it starts, so that sums over days count it once.
        coalesce(started_sessions.session_count, 0) as session_count,
        last_known.level as last_level,
        last_known.platform as last_platform,
        last_known.state as last_state,
        last_known.gender,
        last_known.registered_at
    from daily
    left join started_sessions
        on
            daily.user_id = started_sessions.user_id
            and daily.activity_date = started_sessions.activity_date
)

select * from user_days
