{#
    Let go of the lock of check_session: by the run that holds it, or by hand after a killed one.

        on-run-end: "{{ end_run(own=true) }}"
        dbt run-operation end_run

    Arguments:
        own: only if this run holds it.
#}
{% macro end_run(own=false) %}
    {% if execute and is_shared() %}
        {% set lock = run_lock() %}
        {% if load_relation(lock) %}
            {% set holder = run_query('select invocation_id from ' ~ lock).rows[0][0] %}
            {% if holder == invocation_id or not own %}
                {% do run_query('drop view if exists ' ~ lock) %}
            {% endif %}
        {% endif %}
    {% endif %}
{% endmacro %}
