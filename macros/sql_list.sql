{#
    A list of texts as SQL literals.

        {{ sql_list(['Logged Out', 'Guest']) }}  ->  'Logged Out', 'Guest'

    Spark would put a setting in place of what a dollar and a brace begin.

    Arguments:
        texts: a list of them.
#}
{% macro sql_list(texts) -%}
    {%- for text in texts -%}
        '{{ text | replace("\\", "\\\\") | replace("'", "\\'") | replace("${", "\\u0024{") }}'{{ ', ' if not loop.last }}
    {%- endfor -%}
{%- endmacro %}
