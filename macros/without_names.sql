{#
    A line of the log that is not JSON, with the names of people masked.

        {{ without_names('line') }}
            ->  {"firstName": "Colin", "page" ... becomes {"firstName": …", "page" ...

    Names are kept nowhere, so not in the lines that are rejected either. What is not UTF-8 is made
    so, and loses the zeros between the letters of UTF-16.
#}
{% macro without_names(line) -%}
    regexp_replace(
        replace(make_valid_utf8({{ line }}), '\0', ''),
        '(?i)((?:first|last)_?name[\\\\"'']*\\s*[:=]\\s*)(?:[\\\\]*"[^"]*|''[^'']*|[^,;}\\s]*)',
        '$1…'
    )
{%- endmacro %}
