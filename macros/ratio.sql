{#
    A quotient as a double, with a defined value where the denominator is 0 or null.

        {{ ratio('a', 'b') }}  ->  if(b > 0, cast(a as double) / b, 0.0)

    Arguments:
        numerator, denominator: SQL expressions; the denominator is a count or a time, never negative.
        otherwise: the value without a denominator; 0 by default.
#}
{% macro ratio(numerator, denominator, otherwise='0.0') -%}
    if({{ denominator }} > 0, cast({{ numerator }} as double) / ({{ denominator }}), {{ otherwise }})
{%- endmacro %}
