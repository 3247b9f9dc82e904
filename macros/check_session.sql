{#
    Refuse a server whose sessions do not keep UTC, for then a day would be another one, and a run
    beside another one on the same server.

        on-run-start: "{{ check_session() }}"

    A view is the lock: to create one is atomic, and its text holds who did. It is named for the
    running server, so that it ends with it. A session in this process has the metastore alone.
#}
{% macro check_session() %}
    {% if execute and flags.WHICH in ['run', 'build', 'test', 'run-operation'] and target.method != 'session' %}
        {% set zone = run_query('select current_timezone()').rows[0][0] %}
        {% if zone not in ['UTC', 'Etc/UTC', 'GMT', 'Z', '+00:00'] %}
            {% do exceptions.raise_compiler_error(
                'sessions of the server at ' ~ target.host ~ ' are in ' ~ zone ~ ', and days are '
                ~ 'days of UTC: set spark.sql.session.timeZone to UTC in its configuration'
            ) %}
        {% endif %}
    {% endif %}
    {% if execute and flags.WHICH in ['run', 'build', 'test'] and target.method != 'session' %}
        {% set lock = run_lock() %}
        {% do run_query('create schema if not exists ' ~ lock.schema) %}
        {% do run_query(
            'create view if not exists ' ~ lock ~ " as select '" ~ invocation_id
            ~ "' as invocation_id, '" ~ run_started_at.strftime('%Y-%m-%d %H:%M:%S') ~ "' as began"
        ) %}
        {% set holder = run_query('select invocation_id, began from ' ~ lock).rows[0] %}
        {% if holder[0] != invocation_id %}
            {% do exceptions.raise_compiler_error(
                'another run is under way on this server since ' ~ holder[1] ~ ' UTC; wait for it. '
                ~ 'If it was killed: dbt run-operation end_run --target ' ~ target.name
            ) %}
        {% endif %}
    {% endif %}
{% endmacro %}
