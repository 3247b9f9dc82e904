{#
    A text without blanks, tabs and ends of lines around it.

        {{ trimmed('`level`') }}  ->  ' free\t' is 'free'

    Only a text that begins or ends with one is trimmed: Spark takes a text apart, letter by letter,
    to trim more than blanks.

    Arguments:
        text: an expression.
#}
{% macro trimmed(text) -%}
    {%- set ends -%}
        {%- for blank in [' ', '\\t', '\\r', '\\n'] -%}
            endswith({{ text }}, '{{ blank }}'){{ ' or ' if not loop.last }}
        {%- endfor -%}
    {%- endset -%}
    if({{ text }} < '!' or {{ ends }}, trim(both ' \t\r\n' from {{ text }}), {{ text }})
{%- endmacro %}
