-- One row per (user_id, activity_date): everything later windows add up.
with session_days as (
    select
        *,
        min(event_date) over (partition by user_id, session_id) as started_date
    from {{ ref('int_sparkify__session_days') }}
),

daily as (
    select
        user_id,
        event_date as activity_date,
        min(first_event_at) as first_event_at,
        max(last_event_at) as last_event_at,
        min(first_churn_at) as first_churn_at,
        sum(event_count) as event_count,
        -- A session counts on the day it starts, so that sums over days count it once.
        count_if(event_date = started_date) as session_count,
        {%- for column in page_counts() %}
        sum({{ column }}) as {{ column }},
        {%- endfor %}
        sum(night_song_count) as night_song_count,
        sum(paid_event_count) as paid_event_count,
        cast(sum(listening_s) as decimal(22, 5)) as listening_s,
        {%- for attribute in user_attributes() %}
        max(last_{{ attribute }}) as last_{{ attribute }},
        {%- endfor %}
        hll_union_agg(artist_sketch) as artist_sketch,
        hll_union_agg(song_sketch) as song_sketch,
        max(input_version) as date_version,
        bit_xor(if(event_date = started_date, xxhash64(user_id, session_id), 0)) as start_version
    from session_days
    group by user_id, event_date
),

user_days as (
    select
        * except (
            last_level,
            last_platform,
            last_state,
            last_gender,
            last_registered_at,
            date_version,
            start_version
        ),
        last_level.level as last_level,
        last_platform.platform as last_platform,
        last_state.state as last_state,
        last_gender.gender,
        last_registered_at.registered_at,
        xxhash64(
            date_version,
            bit_xor(start_version) over (partition by activity_date)
        ) as input_version
    from daily
)

select * from user_days
