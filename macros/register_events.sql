{#
    Point the sources `raw.lines`, `raw.files` and, for Parquet, `raw.parquet_N` at a folder or
    file of events.

        dbt run-operation register_events --args '{path: /data/events}'

    The tables only refer to the files. The row `whole` of `raw.file_forms`, which goes first and
    comes last, says that they all do: without it no run reads them. A path is taken literally. Files
    that are Parquet by name are read as such, all others as JSON, one or more objects a line, plain
    or as .gz, .bz2 or .zst; with the var `events_format: parquet` every file is Parquet.

    Arguments:
        path: absolute path or URI, as the Spark driver sees it.
        forms: of Parquet files whose types differ: {sample: one of its files, nanoseconds: names
            of columns, files: their URIs}; the first has those that no other one lists. Without,
            all Parquet files must agree.
        count: how many files are there that are not empty; if Spark finds fewer, nothing is read.
#}
{% macro register_events(path, forms=none, count=none) %}
    {% if var('events_format') not in ['json', 'parquet'] %}
        {% do refuse(
            'events_format is ' ~ var('events_format') ~ ': it must be json or parquet'
        ) %}
    {% endif %}
    {% do check_warehouse() %}
    {% set lines, files = source('raw', 'lines'), source('raw', 'files') %}
    {% set listed = source('raw', 'file_forms') %}
    {% do run_query('create schema if not exists ' ~ lines.schema) %}
    {% do run_query('drop table if exists ' ~ listed) %}
    {% do run_query(
        'create table ' ~ listed ~ ' (form string, file_path string, input_version bigint) using parquet'
    ) %}
    {% do refer_to(lines, path, 'text', '(value string)') %}
    {% do refer_to(files, path, 'binaryFile') %}
    {% if count is not none %}
        {% set found = run_query(
            'select count(*) from ' ~ files ~ ' where _metadata.file_size > 0'
        ).rows[0][0] %}
        {% if found < count %}
            {% do refuse(
                'of ' ~ count ~ ' files at ' ~ path ~ ' Spark finds ' ~ found ~ '. If none was taken away just '
                ~ 'now, some have names that its Java cannot have: start it with LC_ALL=C.UTF-8, or rename them'
            ) %}
        {% endif %}
    {% endif %}
    {% if forms is not none %}
        {% do run_query(
            'insert into ' ~ listed ~ " select 'known', _metadata.file_path, " ~ file_version()
            ~ ' from ' ~ files ~ ' where _metadata.file_size > 0'
        ) %}
    {% endif %}
    {% for row in run_query('show tables in ' ~ lines.schema ~ " like 'parquet_*'").rows %}
        {% do run_query('drop table ' ~ lines.schema ~ '.' ~ row[1]) %}
    {% endfor %}
    {% if forms is none %}
        {% set forms = [] %}
        {% set query = 'select _metadata.file_path from ' ~ files ~ ' where _metadata.file_size > 0 and '
            ~ is_called_parquet() ~ ' limit 1' %}
        {% for row in run_query(query).rows %}
            {% do forms.append({'sample': row[0], 'nanoseconds': [], 'files': []}) %}
        {% endfor %}
    {% endif %}
    {% for form in forms %}
        {% do register_form(form, path, 'parquet_' ~ loop.index0) %}
    {% endfor %}
    {% do run_query('insert into ' ~ listed ~ " (form) values ('whole')") %}
{% endmacro %}
