{#
    A hash of several columns, 64 bits wide, in which null differs from any value and place counts.

        {{ hash_of(['a', 'b']) }}  ->  xxhash64(a, a is null, b, b is null)

    Arguments:
        columns: their names.
#}
{% macro hash_of(columns) -%}
    xxhash64(
        {%- for column in columns -%}
        {{ column }}, {{ column }} is null{{ ', ' if not loop.last }}
        {%- endfor -%}
    )
{%- endmacro %}
