{#
    Refuse files that came after the events were registered and that a run would read wrongly, and
    say nothing: Parquet, whose columns nobody looked at, and what is packed as Spark does not read.

        {% do check_new_files() %}

    New files of JSON are what a run is for. Where nobody looked at the files when they were
    registered, as at an address that Hadoop knows, none is refused. A session that stays open
    remembers the files of a form too; they are listed anew.
#}
{% macro check_new_files() %}
    {% set files, forms = source('raw', 'files'), source('raw', 'file_forms') %}
    {% for row in run_query('show tables in ' ~ files.schema ~ " like 'parquet_*'").rows %}
        {% do run_query('refresh table ' ~ files.schema ~ '.' ~ row[1]) %}
    {% endfor %}
    {% set columns = adapter.get_columns_in_relation(forms) | map(attribute='name') | list %}
    {% set packed = "lower(_metadata.file_path) rlike '\\\\.(lz4|h?snappy|sz|deflate|xz|lzma|zip|7z|tgz|tar|br|lzo|z|zlib|avro|orc|arrow|feather|seq|pickle|pkl|h5|sqlite)$'" %}
    {% if 'input_version' in columns %}
        {% for row in run_query(
            'with known as (select input_version from ' ~ forms ~ " where form = 'known'), found as ("
            ~ 'select _metadata.file_path as file_path, ' ~ file_version() ~ ' as input_version from ' ~ files
            ~ ' where _metadata.file_size > 0 and (' ~ packed ~ ' or ' ~ is_called_parquet() ~ ')) '
            ~ 'select file_path from found left anti join known using (input_version) '
            ~ 'where exists (select 1 from known) order by 1 limit 1'
        ).rows %}
            {% do refuse(
                row[0] ~ ' is new, and neither JSON nor Parquet that was looked at: run '
                ~ '`sparkify build --events PATH`, which does'
            ) %}
        {% endfor %}
    {% endif %}
{% endmacro %}
