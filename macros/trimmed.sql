{#
    A text without blanks, tabs and ends of lines around it.

        {{ trimmed('`level`') }}  ->  ' free\t' is 'free'
        {{ trimmed('`userId`', of_pages=true) }}  ->  '36\u00a0' is '36' as well

    Only a text that begins or ends with one is trimmed: Spark takes a text apart, letter by letter,
    to trim more than blanks.

    Arguments:
        text: an expression.
        of_pages: whether also without what spreadsheets and web pages leave there: blanks that do
            not break, that have no width, and marks of the order of bytes.
#}
{% macro trimmed(text, of_pages=false) -%}
    {%- set wide = ['\\u00a0', '\\u200b', '\\ufeff'] if of_pages else [] -%}
    {%- set ends -%}
        {%- for blank in wide -%}
            startswith({{ text }}, '{{ blank }}') or {% endfor -%}
        {%- for blank in [' ', '\\t', '\\r', '\\n'] + wide -%}
            endswith({{ text }}, '{{ blank }}'){{ ' or ' if not loop.last }}
        {%- endfor -%}
    {%- endset -%}
    if({{ text }} < '!' or {{ ends }}, trim(both ' \t\r\n{{ wide | join }}' from {{ text }}), {{ text }})
{%- endmacro %}
