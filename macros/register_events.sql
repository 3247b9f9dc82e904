{#
    Point the source `raw.events` at a folder or file of newline-delimited JSON.

        dbt run-operation register_events --args '{path: /data/events}'

    Every field is read as text: a type is a rule, and rules live in staging. Names of people are
    left out of the schema, so they are never read. The table only refers to the files; setting its
    location is atomic, and a running query keeps the files it began with.

    Arguments:
        path: absolute path or URI, as the Spark driver sees it.
#}
{% macro register_events(path) %}
    {% set table = source('raw', 'events') %}
    {% set quoted = path | replace('\\', '\\\\') | replace("'", "\\'") %}
    {% set columns = [
        'ts', 'userId', 'sessionId', 'page', 'auth', 'method', 'status', 'level', 'itemInSession',
        'location', 'userAgent', 'registration', 'gender', 'artist', 'song', 'length',
        '_corrupt_record',
    ] %}
    {% do run_query('create schema if not exists ' ~ table.schema) %}
    {% do run_query(
        'create table if not exists ' ~ table ~ ' (`' ~ columns | join('` string, `') ~ '` string)'
        ~ " using json options (path '" ~ quoted ~ "', recursiveFileLookup 'true',"
        ~ " mode 'PERMISSIVE', columnNameOfCorruptRecord '_corrupt_record')"
    ) %}
    {% do run_query('alter table ' ~ table ~ " set location '" ~ quoted ~ "'") %}
    {% do run_query('refresh table ' ~ table) %}
{% endmacro %}
