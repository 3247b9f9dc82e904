{#
    The condition that a JSON object lacks a field of an event that its text has under a key in
    another case. A key of the usual case may lie deeper.

        {{ has_other_case('get(objects, 0)', 'text') }}
            ->  (get(objects, 0).ts is null and locate('"ts"', lower(text)) > 0 and ...) or ...
#}
{% macro has_other_case(object, text) -%}
    {%- for field in event_fields() -%}
    (
        {{ object }}.{{ field }} is null
        and locate('"{{ field | lower }}"', lower({{ text }})) > 0
        and (locate('"{{ field }}"', {{ text }}) = 0 or locate('{', {{ text }}, 2) > 0)
    ){{ ' or ' if not loop.last }}
    {%- endfor -%}
{%- endmacro %}
