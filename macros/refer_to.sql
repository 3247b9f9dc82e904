{#
    Create the table that refers to files; one of that name is dropped.

        {{ refer_to(source('raw', 'files'), '/data/events', 'binaryFile') }}
            ->  create table sparkify_raw.files using binaryFile options (path '/data/events', ...)

    Arguments:
        table: the relation.
        path, format: where the files lie, and as what Spark reads them. The path is taken
            literally, not as a pattern: `log[1]` is not `log1`.
        schema: columns in parentheses; without, Spark finds them.
#}
{% macro refer_to(table, path, format, schema='') %}
    {% do run_query('drop table if exists ' ~ table) %}
    {# The last two hold against the settings of a session: a damaged file is no shorter one. #}
    {% do run_query(
        'create table ' ~ table ~ ' ' ~ schema ~ ' using ' ~ format ~ ' options (path '
        ~ sql_list([path]) ~ ", recursiveFileLookup 'true', `__globPaths__` 'false', "
        ~ "ignoreCorruptFiles 'false', ignoreMissingFiles 'false')"
    ) %}
{% endmacro %}
