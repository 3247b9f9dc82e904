{#
    Stop a run that has no events to read, and say how to get some. One that reads no file needs
    none: what was built is scored and tested where its log is out of reach.

        on-run-start: "{{ check_events() }}"

    A session that stays open remembers the files it saw; they are listed anew.
#}
{% macro check_events() %}
    {% if execute and flags.WHICH in ['run', 'build', 'test', 'snapshot', 'freshness'] %}
        {% set tables = [source('raw', 'lines'), source('raw', 'files')] %}
        {% for table in tables %}
            {% if not load_relation(table) %}
                {% do refuse(
                    "No events are registered yet. Run `sparkify build --events PATH` on your own, "
                    ~ "or `make run` for simulated ones; without `sparkify`: "
                    ~ "dbt run-operation register_events --args '{path: PATH}'"
                ) %}
            {% endif %}
        {% endfor %}
        {% set readers = ['model.sparkify.base_sparkify__line_counts', 'model.sparkify.base_sparkify__rows'] %}
        {% set listed = 'model.sparkify.base_sparkify__files' %}
        {#- Of `dbt retry` nobody knows what it runs. -#}
        {% set reads = namespace(files=flags.WHICH == 'freshness' or not selected_resources) %}
        {% for id in selected_resources %}
            {% set parents = graph.nodes.get(id, {}).get('depends_on', {}).get('nodes', []) %}
            {% set reads.files = reads.files or id in [listed] + readers or listed in parents %}
        {% endfor %}
        {% if reads.files %}
            {% for table in tables %}
                {% do run_query('refresh table ' ~ table) %}
            {% endfor %}
            {% if not run_query(
                'select 1 from ' ~ source('raw', 'files') ~ ' where _metadata.file_size > 0 limit 1'
            ).rows %}
                {% do refuse(
                    'There are no events: the files are gone, or all empty. Name others with '
                    ~ '`sparkify build --events PATH`'
                ) %}
            {% endif %}
        {% endif %}
        {% if selected_resources | select('in', readers) | list %}
            {% do check_new_files() %}
        {% endif %}
    {% endif %}
{% endmacro %}
