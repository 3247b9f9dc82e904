{#
    The value of a whole number written as digits, as a double; null of any other text. What is too
    large for `whole_number` to write out is one all the same.

        {{ whole_value('status_text') }}  ->  200.0 of '200', 1E30 of '1.0E30', null of '200.5'

    Arguments:
        text: what `whole_number` made of a field, as an expression.
#}
{% macro whole_value(text) -%}
    case
        when cast(try_cast({{ text }} as bigint) as string) = {{ text }}
            then cast(try_cast({{ text }} as bigint) as double)
        when {{ text }} rlike '^[+-]?[0-9]+$' or abs(try_cast({{ text }} as double)) >= 1e18
            then try_cast({{ text }} as double)
    end
{%- endmacro %}
