{#
    Create the table that reads one form of Parquet files: those whose columns have the same types.

        {{ register_form({'sample': '/events/a.parquet', 'files': []}, '/events', 'parquet_0') }}
            ->  create table sparkify_raw.parquet_0 (`ts` bigint, ...) using parquet options (...)

    Arguments:
        form: of register_events.
        path: of all events.
        name: of the table.
#}
{% macro register_form(form, path, name) %}
    {% set table = api.Relation.create(schema=source('raw', 'lines').schema, identifier=name) %}
    {% do refer_to(table, form.sample, 'parquet') %}
    {% set fields, columns = event_fields() | map('lower') | list, [] %}
    {% for name, type, _ in run_query('describe table ' ~ table).rows if name | lower in fields %}
        {% if type.startswith(('array', 'map', 'struct', 'variant')) %}
            {% do refuse(
                'column ' ~ name ~ ' of ' ~ form.sample ~ ' is ' ~ type ~ ': one value is needed'
            ) %}
        {% endif %}
        {% do columns.append('`' ~ name ~ '` ' ~ type ~ (
            " comment 'nanoseconds'" if name in form.nanoseconds else ''
        )) %}
    {% endfor %}
    {% if not columns %}
        {% do refuse(
            form.sample ~ ' has none of the fields of an event: ' ~ event_fields() | join(', ')
        ) %}
    {% endif %}
    {% do refer_to(table, path, 'parquet', '(' ~ columns | join(', ') ~ ')') %}
    {% for files in form.files | batch(1000) %}
        {% do run_query(
            'insert into ' ~ source('raw', 'file_forms') ~ " (form, file_path) select '" ~ name
            ~ "', explode(array(" ~ sql_list(files) ~ '))'
        ) %}
    {% endfor %}
{% endmacro %}
