{#
    No day is more than so many days after the one before, or than the days that a label looks ahead:
    else some clock was wrong, or a part of the log is missing. Labels that look at these days would
    say that nobody left, for nothing was watched.
#}
{% test no_gap(model, column_name, days) %}
with gaps as (
    select
        lag({{ column_name }}) over (order by {{ column_name }}) as last_date,
        {{ column_name }} as next_date
    from {{ model }}
)

select *
from gaps
where datediff(next_date, last_date) > least({{ days }}, {{ valid_var('horizon_days', otherwise=14) }})
{% endtest %}
