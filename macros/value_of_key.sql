{#
    The value of a key in a map, whatever the case of the key; spelled exactly, if there is one that
    is not null. Of several the last, as Spark's parser takes it where it looks for fields.

        {{ value_of_key('each', 'userId') }}
            ->  coalesce(try_element_at(filter(map_entries(each), ...), -1).value, ...)

    The entries are looked through rather than renamed, for two keys may differ by case alone.

    Arguments:
        map: an expression.
        key: a field of an event.
#}
{% macro value_of_key(map, key) -%}
coalesce(
    try_element_at(
        filter(map_entries({{ map }}), entry -> entry.key = '{{ key }}'),
        -1
    ).value,
    try_element_at(
        filter(
            map_entries({{ map }}),
            entry -> lower(entry.key) = '{{ key | lower }}'
            and entry.key != '{{ key }}' and entry.value is not null
        ),
        -1
    ).value
)
{%- endmacro %}
