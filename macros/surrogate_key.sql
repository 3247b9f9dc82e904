{#
    A 128-bit key of several columns; null and the empty text differ.

        {{ surrogate_key(['a', 'b']) }}
            ->  md5(concat_ws('\u001f', coalesce(cast(a as string), '\u0000'), ...))
#}
{% macro surrogate_key(columns) -%}
    md5(concat_ws(
        '\u001f'
        {%- for column in columns %},
        coalesce(cast({{ column }} as string), '\u0000')
        {%- endfor %}
    ))
{%- endmacro %}
