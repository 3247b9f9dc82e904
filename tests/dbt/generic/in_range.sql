{#
    Values lie between two limits, both allowed; null passes.

        data_tests:
          - in_range:
              arguments: {minimum: 0, maximum: 1}
#}
{% test in_range(model, column_name, minimum, maximum) %}
select {{ column_name }}
from {{ model }}
where not {{ column_name }} between {{ minimum }} and {{ maximum }}
{% endtest %}
