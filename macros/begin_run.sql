{#
    Take the lock that runs share, or refuse to begin beside another one.

        {% do begin_run() %}
        dbt run-operation begin_run

    A view is the lock: to create one is atomic, and its text holds who did. `end_run` lets go of it.
#}
{% macro begin_run() %}
    {% if execute and is_shared() %}
        {% set lock = run_lock() %}
        {% do run_query('create schema if not exists ' ~ lock.schema) %}
        {% do run_query(
            'create view if not exists ' ~ lock ~ " as select '" ~ invocation_id
            ~ "' as invocation_id, '" ~ run_started_at.strftime('%Y-%m-%d %H:%M:%S') ~ "' as began"
        ) %}
        {% set holder = run_query('select invocation_id, began from ' ~ lock).rows[0] %}
        {% if holder[0] != invocation_id %}
            {% do exceptions.raise_compiler_error(
                'another run is under way on this server or metastore since ' ~ holder[1] ~ ' UTC; wait for it. '
                ~ 'If it was killed or broke off: dbt run-operation end_run --target ' ~ target.name
                ~ (", with the writer's token in DBT_ENV_SECRET_SPARKIFY_TOKEN" if target.name == 'thrift' else '')
            ) %}
        {% endif %}
    {% endif %}
{% endmacro %}
