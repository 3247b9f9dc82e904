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
    false
    {%- if minimum is not none %}
    or {{ column_name }} < {{ minimum }}
    {%- endif %}
    {%- if maximum is not none %}
    or {{ column_name }} > {{ maximum }}
    {%- endif %}
{% endtest %}
