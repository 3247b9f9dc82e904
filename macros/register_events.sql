{#
    Point the sources `raw.events` and `raw.files` at a folder or file of events.

        dbt run-operation register_events --args '{path: /data/events}'
        dbt run-operation register_events --args '{path: /data/events, format: parquet}'

    Of JSON every field is read as text: a type is a rule, and rules live in staging. Names of
    people are left out, so they are never read. The tables only refer to the files; setting a
    location is atomic, and a running query keeps the files it began with.

    Arguments:
        path: absolute path or URI, as the Spark driver sees it.
        format: json, one object a line, plain or as .gz, .bz2 or .zst; or parquet.
#}
{% macro register_events(path, format=var('events_format')) %}
    {% if format not in ['json', 'parquet'] %}
        {% do exceptions.raise_compiler_error(
            'events_format is ' ~ format ~ ': it must be json or parquet'
        ) %}
    {% endif %}
    {% set events, files = source('raw', 'events'), source('raw', 'files') %}
    {% set columns = [
        'ts', 'userId', 'sessionId', 'page', 'auth', 'method', 'status', 'level', 'itemInSession',
        'location', 'userAgent', 'registration', 'gender', 'artist', 'song', 'length',
        '_corrupt_record',
    ] %}
    {% do run_query('create schema if not exists ' ~ events.schema) %}
    {% if format == 'json' %}
        {% set schema = '(`' ~ columns | join('` string, `') ~ '` string)' %}
        {% do refer_to(events, path, 'json', schema, {
            'mode': 'PERMISSIVE', 'columnNameOfCorruptRecord': '_corrupt_record',
        }) %}
    {% else %}
        {# Parquet brings types of its own; what a file does not have is null. #}
        {% do refer_to(events, path, 'parquet', '', {'mergeSchema': 'true'}) %}
        {% set present = adapter.get_columns_in_relation(events) | map(attribute='name') %}
        {% set present = present | map('lower') | list %}
        {% set missing = [] %}
        {% for column in columns if column | lower not in present %}
            {% do missing.append('`' ~ column ~ '` string') %}
        {% endfor %}
        {% if missing %}
            {% do run_query('alter table ' ~ events ~ ' add columns (' ~ missing | join(', ') ~ ')') %}
        {% endif %}
    {% endif %}
    {% do refer_to(files, path, 'binaryFile', '', {}) %}
{% endmacro %}
