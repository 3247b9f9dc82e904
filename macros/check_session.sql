{#
    Refuse a server whose sessions do not keep UTC, for then a day would be another one, or read SQL
    otherwise, and a run beside another one on the same server or metastore.

        on-run-start: "{{ check_session() }}"

    A session in this process has the embedded metastore alone.
#}
{% macro check_session() %}
    {% if execute and flags.WHICH in ['run', 'build', 'test', 'run-operation'] and is_shared() %}
        {% set zone, letters = run_query("select current_timezone(), length('\\n')").rows[0] %}
        {% if zone not in ['UTC', 'Etc/UTC', 'GMT', 'Z', '+00:00'] %}
            {% do exceptions.raise_compiler_error(
                'sessions of the server at ' ~ target.host ~ ' are in ' ~ zone ~ ', and days are '
                ~ 'days of UTC: set spark.sql.session.timeZone to UTC in its configuration'
            ) %}
        {% endif %}
        {% if letters | int != 1 %}
            {% do exceptions.raise_compiler_error(
                'the server at ' ~ target.host ~ ' takes a backslash in SQL for a letter: set '
                ~ 'spark.sql.parser.escapedStringLiterals to false in its configuration'
            ) %}
        {% endif %}
    {% endif %}
    {% if flags.WHICH in ['run', 'build', 'test'] %}
        {% do begin_run() %}
    {% endif %}
{% endmacro %}
