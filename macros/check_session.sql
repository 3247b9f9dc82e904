{#
    Refuse a server whose sessions do not keep UTC, for then a day would be another one, and a run
    beside another one on the same server or metastore.

        on-run-start: "{{ check_session() }}"

    A session in this process has the embedded metastore alone.
#}
{% macro check_session() %}
    {% if execute and flags.WHICH in ['run', 'build', 'test', 'run-operation'] and is_shared() %}
        {% set zone = run_query('select current_timezone()').rows[0][0] %}
        {% if zone not in ['UTC', 'Etc/UTC', 'GMT', 'Z', '+00:00'] %}
            {% do exceptions.raise_compiler_error(
                'sessions of the server at ' ~ target.host ~ ' are in ' ~ zone ~ ', and days are '
                ~ 'days of UTC: set spark.sql.session.timeZone to UTC in its configuration'
            ) %}
        {% endif %}
    {% endif %}
    {% if flags.WHICH in ['run', 'build', 'test'] %}
        {% do begin_run() %}
    {% endif %}
{% endmacro %}
