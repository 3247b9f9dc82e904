{#
    A result as a row of values for the ledger.

        {{ ledger_row(model, 'unique_dim_users_user_id', result) }}
            ->  ('core', 'dim_users', 'unique_dim_users_user_id', 'error', 'pass', '', 0, true)

    The last says whether it is of the rows of the table, as a unit test is not.

    Arguments:
        model: the node it is of, or none: the project.
        name: of the check.
        result: with status, failures and message, as dbt reports them.
#}
{% macro ledger_row(model, name, result) %}
    {% set severity = result.node.config.get('severity') if result.node else none %}
    {% set failures = result.failures %}
    {% do return('(' ~ sql_list([
        model.fqn[-2] if model else 'project',
        model.name if model else '',
        name,
        (severity or 'error') | lower,
        result.status | string,
        modules.re.sub('^Got \\d+ results?, configured to (warn|fail) if != 0$', '', result.message or '')
            | replace('\n', ' ') | truncate(500),
    ]) ~ ', ' ~ ('null' if failures is none else failures)
    ~ ', ' ~ ('true' if result.node and result.node.resource_type == 'test' else 'false') ~ ')') %}
{% endmacro %}
