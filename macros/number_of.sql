{#
    The number that a text denotes in decimal notation, as a double; null of any other text.

        {{ number_of('length') }}  ->  277.89 of '277.89', 1.0E9 of '1e9'; null of '100f', '0x1p4'

    What Spark's cast takes beside it, as Java does, has a letter at its end or an x in it.

    Arguments:
        text: an expression.
#}
{% macro number_of(text) -%}
    if(
        right({{ text }}, 1) < ':' and not contains({{ text }}, 'x') and not contains({{ text }}, 'X'),
        try_cast({{ text }} as double),
        null
    )
{%- endmacro %}
