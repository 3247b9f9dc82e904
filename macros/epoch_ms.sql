{#
    Milliseconds since 1970, of a number, of a text that is one, or of a timestamp in Parquet.

        {{ epoch_ms('ts') }}
            ->  if(typeof(ts) like 'timestamp%', unix_millis(cast(ts as timestamp)), try_cast(ts as double))

    The type of a column is known before a row is read, so only one branch is ever computed.
#}
{% macro epoch_ms(column) -%}
    if(
            typeof({{ column }}) like 'timestamp%',
            unix_millis(cast({{ column }} as timestamp)),
            try_cast({{ column }} as double)
        )
{%- endmacro %}
