{#
    A list of texts as SQL literals.

        {{ sql_list(['Logged Out', 'Guest']) }}  ->  'Logged Out', 'Guest'

    Arguments:
        texts: a list of them.
#}
{% macro sql_list(texts) -%}
    {%- for text in texts -%}
        '{{ text | replace("\\", "\\\\") | replace("'", "\\'") }}'{{ ', ' if not loop.last }}
    {%- endfor -%}
{%- endmacro %}
