{#
    Refuse to build where the catalogue has the tables elsewhere than new ones would go, for then
    they would lie in two places.

        on-run-start: "{{ check_warehouse() }}"

    Of folders only those count that SPARKIFY_WAREHOUSE names: links may lead to the same one. A
    server that is not of this project has its own rules.
#}
{% macro check_warehouse() %}
    {% if execute and flags.WHICH in ['run', 'build', 'test'] %}
        {% set given = run_query('set spark.sparkify.warehouse').rows[0][1] or '' %}
        {% set warehouse = run_query('set spark.sql.warehouse.dir').rows[0][1] %}
        {% for schema in [target.schema, target.schema ~ '_ml'] if given != '<undefined>'
            and adapter.check_schema_exists(none, schema) %}
            {% set rows = run_query('describe schema ' ~ schema).rows %}
            {% set location = (rows | selectattr(0, 'equalto', 'Location') | first)[1] %}
            {% set location = location | replace('%20', ' ') %}
            {% set are_folders = location.startswith('file:') and warehouse.startswith('file:') %}
            {% set place = warehouse if schema == 'default' else warehouse ~ '/' ~ schema ~ '.db' %}
            {% if location != place and (given or not are_folders) %}
                {% do refuse(
                    'the tables of ' ~ schema ~ ' lie in ' ~ location ~ ', and new ones would lie '
                    ~ 'in ' ~ warehouse ~ ': set SPARKIFY_WAREHOUSE as it was, or SPARKIFY_HOME to '
                    ~ 'a new folder'
                ) %}
            {% endif %}
        {% endfor %}
    {% endif %}
{% endmacro %}
