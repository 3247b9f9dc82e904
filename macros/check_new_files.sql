{#
    Refuse events whose registration did not come to its end, and files that came after it and that
    a run would read wrongly, and say nothing: Parquet, whose columns nobody looked at or that
    nothing reads, and what is packed as Spark does not read. With a SPARKIFY_USER_KEY also folders
    that are named for a user.

        {% do check_new_files() %}

    New files of JSON are what a run is for. Where nobody looked at the files when they were
    registered, as at an address that Hadoop knows, that is refused alone which nothing reads. A
    session that stays open remembers the files of a form too; they are listed anew.
#}
{% macro check_new_files() %}
    {% set files, forms = source('raw', 'files'), source('raw', 'file_forms') %}
    {% if not load_relation(forms) or not run_query('select 1 from ' ~ forms ~ " where form = 'whole'").rows %}
        {% do refuse(
            'The events were not registered to the end, and would be read in part: register them again, with '
            ~ "`sparkify build --events PATH` or dbt run-operation register_events --args '{path: PATH}'"
        ) %}
    {% endif %}
    {% for row in run_query('show tables in ' ~ files.schema ~ " like 'parquet_*'").rows %}
        {% do run_query('refresh table ' ~ files.schema ~ '.' ~ row[1]) %}
    {% endfor %}
    {% set packed = "lower(_metadata.file_path) rlike '\\\\.(tar\\\\.\\\\w+|gzip|bzip2|zstd|lz4|h?snappy|sz|deflate|xz|lzma|zip|7z|tgz|tbz2?|tar|br|lzo|z|zlib|avro|orc|arrow|feather|seq|pickle|pkl|h5|sqlite)$'" %}
    {% for row in run_query(
        'with known as (select input_version from ' ~ forms ~ " where form = 'known'), found as ("
        ~ 'select _metadata.file_path as file_path, ' ~ file_version() ~ ' as input_version, '
        ~ event_sources().any ~ ' as is_read, ' ~ packed ~ ' or ' ~ is_called_parquet()
        ~ ' as is_looked_at from ' ~ files ~ ' where _metadata.file_size > 0) '
        ~ 'select file_path from found left join known on found.input_version = known.input_version '
        ~ 'where not is_read or is_looked_at and known.input_version is null '
        ~ 'and (select count(*) from known) > 0 order by 1 limit 1'
    ).rows %}
        {% do refuse(
            row[0] ~ ' is new, and neither JSON nor Parquet that was looked at: run '
            ~ '`sparkify build --events PATH`, which does'
        ) %}
    {% endfor %}
    {% set named = run_query(
        'select _metadata.file_path from ' ~ files
        ~ " where lower(_metadata.file_path) rlike '/user([_-]?id)?=' limit 1"
    ).rows if user_key_digest() else [] %}
    {% for row in named %}
        {% do refuse(
            row[0] ~ ' lies in a folder that is named for a user, and tables name the file: '
            ~ 'with a SPARKIFY_USER_KEY write the id into its rows, and give the folder another name'
        ) %}
    {% endfor %}
{% endmacro %}
