{#
    A line of the log that is not JSON, with the names of people masked.

        {{ without_names('line') }}
            ->  {"firstName": "Colin", "page" ... becomes {"firstName": …", "page" ...

    Names are kept nowhere, so not in the lines that are rejected either.
#}
{% macro without_names(line) -%}
    regexp_replace(
        {{ line }},
        '(?i)((?:first|last)_?name[\\\\"'']*\\s*[:=]\\s*)(?:[\\\\]*"[^"]*|''[^'']*|[^,;}\\s]*)',
        '$1…'
    )
{%- endmacro %}
