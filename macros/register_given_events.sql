{#
    Register the events that `sparkify build` hands to the run, as JSON in the environment.

        on-run-start: "{{ register_given_events() }}"
            ->  register_events(path='/data/events', forms=[...])
#}
{% macro register_given_events() %}
    {% set given = dbt_metadata_envs.get('SPARKIFY_EVENTS') %}
    {% if execute and given and flags.WHICH in ['run', 'build'] %}
        {% do register_events(**fromjson(given)) %}
    {% endif %}
{% endmacro %}
