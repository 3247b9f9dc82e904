{#
    The days of all users hold every staged event, song and session once.
#}
{% test adds_up_to_events(model) %}
with days as (
    select
        sum(event_count) as event_count,
        sum(song_count) as song_count,
        sum(session_count) as session_count
    from {{ model }}
),

events as (
    select
        count(*) as event_count,
        count_if(page = 'NextSong') as song_count,
        count(distinct user_id, session_id) as session_count
    from {{ ref('stg_sparkify__events') }}
)

select *
from days
cross join events
where
    not days.event_count <=> events.event_count
    or not days.song_count <=> events.song_count
    or not days.session_count <=> events.session_count
{% endtest %}
