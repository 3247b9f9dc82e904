{#
    The condition that a file is Parquet by its name, or that the var events_format says so of all.

        {{ is_called_parquet() }}  ->  lower(right(_metadata.file_path, 8)) rlike '\\.(parquet|parq|pq)$'
#}
{% macro is_called_parquet() -%}
    {%- if var('events_format') == 'parquet' -%}
        true
    {%- else -%}
        lower(right(_metadata.file_path, 8)) rlike '\\.(parquet|parq|pq)$'
    {%- endif -%}
{%- endmacro %}
