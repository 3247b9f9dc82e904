{#
    The whole number that a text denotes, as digits; what denotes none stays as it is.

        {{ whole_number('userId') }}
            ->  '101.0', '101.', '1.01E2' and '1.01e+2' are 101; 'v1.0', '+49', '007.0', '1.5', '5e3' stay

    Exporters write whole numbers as floats. Only what has a fraction or a signed exponent is taken
    for one: 5e3 may be the id of somebody. A leading zero makes a code.

    Arguments:
        text: an expression.
#}
{% macro whole_number(text) -%}
    case
        when not contains({{ text }}, '.') and not contains({{ text }}, '+') then {{ text }}
        when
            {{ text }} rlike '^[+-]?(0|[1-9][0-9]*)(\\.(0*|[0-9]{0,18})([eE][+-]?[0-9]{1,2})?|[eE][+-][0-9]{1,2})$'
            and try_cast({{ text }} as decimal(38, 18)) % 1 = 0
            then cast(cast({{ text }} as decimal(38, 0)) as string)
        else {{ text }}
    end
{%- endmacro %}
