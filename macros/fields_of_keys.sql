{#
    The fields of an event from a map of keys in whatever case, as a struct.

        {{ fields_of_keys('each') }}  ->  struct(coalesce(each['ts'], ...) as `ts`, ...)

    Arguments:
        map: of texts by key, as an expression.
#}
{% macro fields_of_keys(map) -%}
    struct(
        {%- for field in event_fields() %}
        {{ value_of_key(map, field) }} as `{{ field }}`{{ ',' if not loop.last }}
        {%- endfor %}
    )
{%- endmacro %}
