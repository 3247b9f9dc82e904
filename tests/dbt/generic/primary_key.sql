{#
    The columns are never null and no two rows share them: one scan for the whole key.

        data_tests:
          - primary_key:
              arguments:
                columns: [user_id, as_of_date]
#}
{% test primary_key(model, columns) %}
select
    {{ columns | join(', ') }},
    count(*) as row_count
from {{ model }}
group by {{ columns | join(', ') }}
having count(*) > 1 or {{ columns | join(' is null or ') }} is null
{% endtest %}
