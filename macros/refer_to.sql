{#
    Create the table that refers to files, or point it at others.

        {{ refer_to(source('raw', 'files'), '/data/events', 'binaryFile', '', {}) }}
            ->  alter table sparkify_raw.files set location '/data/events'

    Arguments:
        table: the relation.
        path, format: where the files lie, and as what Spark reads them.
        schema: columns in parentheses; empty lets Spark find them.
        options: of the data source.
#}
{% macro refer_to(table, path, format, schema, options) %}
    {% set quoted = path | replace('\\', '\\\\') | replace("'", "\\'") %}
    {% set pairs = ["path '" ~ quoted ~ "'", "recursiveFileLookup 'true'"] %}
    {% for name, value in options.items() %}
        {% do pairs.append(name ~ " '" ~ value ~ "'") %}
    {% endfor %}
    {% set provider = namespace(name=none) %}
    {% if load_relation(table) %}
        {% for row in run_query('describe extended ' ~ table).rows if row[0] == 'Provider' %}
            {% set provider.name = row[1] | lower %}
        {% endfor %}
    {% endif %}
    {% if provider.name == format | lower and format != 'parquet' %}
        {% do run_query('alter table ' ~ table ~ " set location '" ~ quoted ~ "'") %}
    {% else %}
        {% do run_query('drop table if exists ' ~ table) %}
        {% do run_query(
            'create table ' ~ table ~ ' ' ~ schema ~ ' using ' ~ format
            ~ ' options (' ~ pairs | join(', ') ~ ')'
        ) %}
    {% endif %}
    {% do run_query('refresh table ' ~ table) %}
{% endmacro %}
