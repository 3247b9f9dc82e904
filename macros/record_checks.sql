{#
    Append to the ledger what every test of the run found, a row each, also when it passed; a model
    that could not be built; and of a `dbt run`, which makes no tests, that it was.

        on-run-end: "{{ record_checks(results) }}"
            ->  insert into sparkify.quality_ledger by name select ... from values (...), ...

    Arguments:
        results: the results of the run, as dbt hands them to on-run-end.
#}
{% macro record_checks(results) %}
    {% set rows, counted = [], {} %}
    {% set models = results | selectattr('node.resource_type', 'equalto', 'model') | list %}
    {% set broken = models | selectattr('status', 'equalto', 'error') | list %}
    {% for result in broken %}
        {% do rows.append(ledger_row(result.node, 'the model can be built', result)) %}
    {% endfor %}
    {% for result in results if result.node.resource_type in ['test', 'unit_test'] %}
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
        {% do rows.append(ledger_row(model, result.node.name, result)) %}
    {% endfor %}
    {% if flags.WHICH == 'run' %}
        {% do rows.append(ledger_row(none, 'dbt run', {
            'status': 'error' if broken else 'pass',
            'failures': broken | length,
            'message': 'of ' ~ models | length ~ ' models',
        })) %}
    {% endif %}
    {% if execute and rows %}
        {% do run_query(ledger_rows(rows, counted)) %}
    {% endif %}
    {% for result in models if result.node.name == 'stg_sparkify__nulled_values'
        and result.status == 'success' %}
        {% do run_query(ledger_nulled_values()) %}
    {% endfor %}
{% endmacro %}
