{#
    Append what every test of the run found to the ledger, a row each, also when it passed.

        on-run-end: "{{ record_checks(results) }}"
            ->  insert into sparkify.quality_ledger select ... from values (...), ...

    Arguments:
        results: the results of the run, as dbt hands them to on-run-end.
#}
{% macro record_checks(results) %}
    {% set rows, counted = [], {} %}
    {% for result in results if execute and result.node.resource_type in ['test', 'unit_test'] %}
        {% set model = tested_model(result.node) %}
        {% set table = none %}
        {% if result.node.resource_type == 'test' and model %}
            {% set table = load_relation(api.Relation.create(
                schema=model.schema, identifier=model.alias or model.name
            )) %}
        {% endif %}
        {% if table %}
            {% do counted.update({model.name: table}) %}
        {% endif %}
        {% do rows.append('(' ~ sql_list([
            model.fqn[-2] if model else 'project',
            model.name if model else '',
            result.node.name,
            result.node.config.severity | lower
                if result.node.resource_type == 'test' else 'error',
            result.status | string,
            (result.message or '') | replace('\n', ' ') | truncate(500),
        ]) ~ ', ' ~ ('null' if result.failures is none else result.failures) ~ ')') %}
    {% endfor %}
    {% if rows %}
        {% do run_query(ledger_rows(rows, counted)) %}
    {% endif %}
{% endmacro %}
