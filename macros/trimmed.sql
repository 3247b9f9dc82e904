{#
    A text without blanks, tabs and ends of lines around it.

        {{ trimmed('`level`') }}  ->  ' free\t' is 'free'
        {{ trimmed('`userId`', of_pages=true) }}  ->  '36\u00a0' is '36' as well

    Only a text that may begin or end with one is trimmed: Spark takes a text apart, letter by
    letter, to trim more than blanks.

    Arguments:
        text: an expression.
        of_pages: whether also without what `wide_blanks` lists.
#}
{% macro trimmed(text, of_pages=false) -%}
    {%- if of_pages -%}
    if(
        {{ text }} < '!' or {{ text }} > '~' or right({{ text }}, 1) not between '!' and '~',
        trim(both ' \t\r\n{{ wide_blanks() }}' from {{ text }}),
        {{ text }}
    )
    {%- else -%}
        {%- set ends -%}
            {%- for blank in [' ', '\\t', '\\r', '\\n'] -%}
                endswith({{ text }}, '{{ blank }}'){{ ' or ' if not loop.last }}
            {%- endfor -%}
        {%- endset -%}
    if({{ text }} < '!' or {{ ends }}, trim(both ' \t\r\n' from {{ text }}), {{ text }})
    {%- endif -%}
{%- endmacro %}
