{#
    A line of JSON objects one behind the other, with commas between them.

        {{ separated_objects('text') }}  ->  {"a": "} {"}{"b": 1} becomes {"a": "} {"},{"b": 1}

    Between two objects a brace closes and the next opens, outside of any text. The groups are
    possessive, so that a line of any length is matched without recursion.

    Arguments:
        text: a line, as an expression.
#}
{% macro separated_objects(text) -%}
    {%- set string = '"(?:[^"\\\\\\\\]++|\\\\\\\\.)*+"' -%}
    regexp_replace(
        {{ text }},
        '\\G((?:[^"}]++|{{ string }}|\\}(?!\\s*\\{))*+\\})(?=\\s*\\{)',
        '$1,'
    )
{%- endmacro %}
