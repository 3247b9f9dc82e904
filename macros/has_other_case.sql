{#
    The condition that a JSON object lacks a field of an event that its text has under a key in
    another case. A key of the usual case may hold null, or lie deeper.

        {{ has_other_case('get(objects, 0)', 'text', 'lower_text') }}
            ->  (get(objects, 0).ts is null and contains(lower_text, '"ts"')
                and (not contains(text, '"ts":') or ...)) or ...

    Arguments:
        object: a struct with the fields of an event.
        text, lower_text: the line it was read from.
#}
{% macro has_other_case(object, text, lower_text) -%}
    {%- for field in event_fields() -%}
    (
        {{ object }}.{{ field }} is null
        and contains({{ lower_text }}, '"{{ field | lower }}"')
        and (
            not contains({{ text }}, '"{{ field }}":')
            or locate('{', {{ text }}, 2) > 0
            or contains(lower(replace({{ text }}, '"{{ field }}":', '')), '"{{ field | lower }}"')
        )
    ){{ ' or ' if not loop.last }}
    {%- endfor -%}
{%- endmacro %}
