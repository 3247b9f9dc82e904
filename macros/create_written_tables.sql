{#
    Create the tables that dbt does not build but that runs append to, empty: what `ml` writes and
    the ledger of checks. So the marts above them build before the first model is trained. They are
    the sources that declare columns; a column that an older table lacks is added to it.

        on-run-start: "{{ create_written_tables() }}"
            ->  create table if not exists sparkify_ml.stack_weights (model string, ...) using delta
#}
{% macro create_written_tables() %}
    {% if execute and flags.WHICH in ['run', 'build', 'test'] %}
        {% for node in graph.sources.values() if node.columns %}
            {% set table = source(node.source_name, node.name) %}
            {% set existing = load_relation(table) %}
            {% set present = adapter.get_columns_in_relation(existing) if existing else [] %}
            {% set names = present | map(attribute='name') | map('lower') | list %}
            {% set missing = [] %}
            {% for column in node.columns.values() if column.name | lower not in names %}
                {% do missing.append(column.name ~ ' ' ~ column.data_type) %}
            {% endfor %}
            {% if not existing %}
                {% do run_query('create schema if not exists ' ~ table.schema) %}
                {% do run_query(
                    'create table if not exists ' ~ table ~ ' (' ~ missing | join(', ') ~ ') using '
                    ~ ('parquet' if target.name == 'parquet' else 'delta')
                ) %}
            {% elif missing %}
                {% do run_query(
                    'alter table ' ~ table ~ ' add columns (' ~ missing | join(', ') ~ ')'
                ) %}
            {% endif %}
        {% endfor %}
    {% endif %}
{% endmacro %}
