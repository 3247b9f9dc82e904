-- One row per (user_id, session_id, event_date): the one pass over events that marts build on.
with events as (
    select * from {{ ref('stg_sparkify__events') }}
),

event_dates as (
    select
        event_date,
        input_version
    from {{ ref('stg_sparkify__event_dates') }}
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
        -- A place in a session is of one event.
        count(item_in_session) - 1
        - (cast(max(item_in_session) as bigint) - min(item_in_session)) as surplus_count,
        {%- for column, page in page_counts().items() %}
        count_if(page = '{{ page }}') as {{ column }},
        {%- endfor %}
        count_if(page = 'NextSong' and hour(event_at) < 6) as night_song_count,
        count_if(level = 'paid') as paid_event_count,
        -- A decimal adds up to the same whatever the order; a double does not.
        coalesce(sum(cast(song_length_s as decimal(12, 5))), 0) as listening_s,
        -- What is known last: of events at the same time by the later position, then the greater
        -- value, so that the order of rows does not matter.
        {%- for attribute in user_attributes() %}
        max(
            if({{ attribute }} is null, null, struct(event_at, item_in_session, {{ attribute }}))
        ) as last_{{ attribute }},
        {%- endfor %}
        -- With 2^16 registers a month of songs still counts one by one, whatever the order.
        hll_sketch_agg(artist, 16) as artist_sketch,
        hll_sketch_agg(song, 16) as song_sketch
    from events
    group by user_id, session_id, event_date
),

versioned as (
    select
        session_days.*,
        event_dates.input_version
    from session_days
    inner join event_dates on session_days.event_date = event_dates.event_date
)

select * from versioned
