{#
    A text without blanks, tabs and ends of lines around it.

        {{ trimmed('`level`') }}  ->  ' free\t' is 'free'
        {{ trimmed('`userId`', of_pages=true) }}  ->  '36\u00a0' is '36' as well

    Only a text that may begin or end with one is trimmed: Spark takes a text apart, letter by
    letter, to trim more than blanks.

    Arguments:
        text: an expression.
        of_pages: whether also without what spreadsheets, web pages and fields of a fixed width leave
            there: blanks of any width or none, that do not break, marks of the order of bytes, NUL.
#}
{% macro trimmed(text, of_pages=false) -%}
    {%- set wide = '\\u0000\\u000b\\u000c\\u0085\\u00a0\\u00ad\\u1680\\u180e\\u2000\\u2001\\u2002\\u2003\\u2004\\u2005\\u2006\\u2007\\u2008\\u2009\\u200a\\u200b\\u200c\\u200d\\u200e\\u200f\\u2028\\u2029\\u202f\\u205f\\u2060\\u3000\\ufeff' -%}
    {%- if of_pages -%}
    if(
        {{ text }} < '!' or {{ text }} > '~' or right({{ text }}, 1) not between '!' and '~',
        trim(both ' \t\r\n{{ wide }}' from {{ text }}),
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
