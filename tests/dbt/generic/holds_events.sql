{#
    There is at least one row: files without a single event are a mistake in the path.
#}
{% test holds_events(model) %}
select count(*) as row_count
from {{ model }}
having count(*) = 0
{% endtest %}
