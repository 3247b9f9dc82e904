{#
    The condition that an object lacks a field of an event.

        {{ lacks_field('get(objects, 0)') }}  ->  get(objects, 0).ts is null or ...

    Arguments:
        object: a struct with the fields of an event, as an expression.
#}
{% macro lacks_field(object) -%}
    {%- for field in event_fields() -%}
    {{ object }}.{{ field }} is null{{ ' or ' if not loop.last }}
    {%- endfor -%}
{%- endmacro %}
