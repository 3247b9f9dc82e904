{#
    What a user of a level who stays is worth, in currency: the var `customer_value` is one number
    for all, or one for each level.

        {{ customer_value('free') }}  ->  40

    Arguments:
        level: paid or free.
#}
{% macro customer_value(level) %}
    {% set value = var('customer_value') %}
    {% do return(value.get(level, 0) if value is mapping else value) %}
{% endmacro %}
