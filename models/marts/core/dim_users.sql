-- One row per user_id: what is known of the user at the end of the data.
with user_days as (
    select * from {{ ref('fct_user_days') }}
),

churns as (
    {{ first_churns('user_days') | indent(4) }}
),

totals as (
    select
        user_id,
        min(first_event_at) as first_seen_at,
        max(last_event_at) as last_seen_at,
        count(*) as active_day_count,
        sum(event_count) as event_count,
        sum(session_count) as session_count,
        sum(song_count) as song_count,
        cast(sum(listening_s) as decimal(22, 5)) as listening_s,
        {%- for attribute in last_known() %}
        max_by({{ attribute }}, activity_date) filter (where {{ attribute }} is not null)
            as {{ attribute }},
        {%- endfor %}
        min_by(last_level, activity_date) filter (where last_level is not null) as first_level,
        min_by(registered_at, activity_date) filter (where registered_at is not null)
            as first_registered_at
    from user_days
    group by user_id
),

users as (
    select
        totals.user_id,
        totals.first_registered_at,
        totals.registered_at,
        totals.first_seen_at,
        totals.last_seen_at,
        totals.first_level,
        totals.last_level as level,
        totals.last_platform as platform,
        totals.last_state as state,
        totals.gender,
        totals.active_day_count,
        totals.event_count,
        totals.session_count,
        totals.song_count,
        totals.listening_s,
        churns.churned_at,
        churns.churned_at is not null as is_churned
    from totals
    left join churns on totals.user_id = churns.user_id
)

select * from users
