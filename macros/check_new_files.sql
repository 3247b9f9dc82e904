{#
    Refuse files that came after the events were registered and that a run would read wrongly, and
    say nothing: Parquet, whose columns nobody looked at, and what is packed as Spark does not read.

        {% do check_new_files() %}

    New files of JSON are what a run is for. A session that stays open remembers the files of a form
    too; they are listed anew.
#}
{% macro check_new_files() %}
    {% set files, forms = source('raw', 'files'), source('raw', 'file_forms') %}
    {% if 'input_version' not in adapter.get_columns_in_relation(forms) | map(attribute='name') %}
        {% do refuse(
            'The events were registered by an older version; run `sparkify build --events PATH` once'
        ) %}
    {% endif %}
    {% set named = is_called_parquet() %}
    {% set packed = "lower(_metadata.file_path) rlike '\\\\.(lz4|snappy|deflate|xz|zip|7z|tgz|tar|br|lzo|z)$'" %}
    {% for row in run_query(
        'select _metadata.file_path from ' ~ files ~ ' where _metadata.file_size > 0 and (' ~ packed
        ~ ' or ' ~ named ~ ' and ' ~ file_version() ~ ' not in (select input_version from ' ~ forms
        ~ " where form = 'known')) order by 1 limit 1"
    ).rows %}
        {% do refuse(
            row[0] ~ ' is new, and neither JSON nor Parquet that was looked at: run '
            ~ '`sparkify build --events PATH`, which does'
        ) %}
    {% endfor %}
    {% for row in run_query('show tables in ' ~ files.schema ~ " like 'parquet_*'").rows %}
        {% do run_query('refresh table ' ~ files.schema ~ '.' ~ row[1]) %}
    {% endfor %}
{% endmacro %}
