{#
    Stop a run that has no events to read, and say how to get some.

        on-run-start: "{{ check_events() }}"
#}
{% macro check_events() %}
    {% if execute and flags.WHICH in ['run', 'build', 'test', 'snapshot'] %}
        {% set events = source('raw', 'events') %}
        {% if not load_relation(events) %}
            {% do exceptions.raise_compiler_error(
                "No events are registered yet. Run `sparkify build --events PATH` on your own, or "
                ~ "`make run` for simulated ones; without `sparkify`: "
                ~ "dbt run-operation register_events --args '{path: PATH}'"
            ) %}
        {% endif %}
    {% endif %}
{% endmacro %}
