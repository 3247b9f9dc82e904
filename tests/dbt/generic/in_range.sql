{#
    Values lie between two limits, both allowed, or above or below one of them; null passes.

        data_tests:
          - in_range:
              arguments: {minimum: 0, maximum: 1}
#}
{% test in_range(model, column_name, minimum=none, maximum=none) %}
select {{ column_name }}
from {{ model }}
where
    {{ column_name }} < {{ column_name if minimum is none else minimum }}
    or {{ column_name }} > {{ column_name if maximum is none else maximum }}
{% endtest %}
