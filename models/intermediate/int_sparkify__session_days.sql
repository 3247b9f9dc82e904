-- One row per (user_id, session_id, event_date): the one pass over events that marts build on.
with events as (
    select * from {{ ref('stg_sparkify__events') }}
),

session_days as (
    select
        user_id,
        session_id,
        event_date,
        min(event_at) as first_event_at,
        max(event_at) as last_event_at,
        min(if(page in ({{ sql_list(churn_pages()) }}), event_at, null)) as first_churn_at,
        count(*) as event_count,
        {%- for column, page in page_counts().items() %}
        count_if(page = '{{ page }}') as {{ column }},
        {%- endfor %}
        count_if(page = 'NextSong' and hour(event_at) < 6) as night_song_count,
        count_if(level = 'paid') as paid_event_count,
        -- A decimal adds up to the same whatever the order; a double does not.
        coalesce(sum(cast(song_length_s as decimal(12, 5))), 0) as listening_s,
        -- The state of the user at the last event, the later of equal times by position.
        max(struct(
            event_at, item_in_session, event_id, level, platform, state, gender, registered_at
        )) as last_event,
        -- With 2^16 registers a month of songs still counts one by one, whatever the order.
        hll_sketch_agg(artist, 16) as artist_sketch,
        hll_sketch_agg(song, 16) as song_sketch,
        max(input_version) as input_version
    from events
    group by user_id, session_id, event_date
)

select * from session_days
