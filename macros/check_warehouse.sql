{#
    Refuse to build where the catalogue has the tables elsewhere than new ones would go, for then
    they would lie in two places.

        on-run-start: "{{ check_warehouse() }}"

    A folder counts by its name, for Spark does not say where a link leads; `sparkify` looks at that
    itself before it calls dbt. A server that is not of this project has its own rules.
#}
{% macro check_warehouse() %}
    {% if execute and flags.WHICH in ['run', 'build', 'test', 'run-operation'] %}
        {% set is_checked = dbt_metadata_envs.get('SPARKIFY_KEY_DIGEST') is not none %}
        {% set given = run_query('set spark.sparkify.warehouse').rows[0][1] or '' %}
        {% set warehouse = run_query('set spark.sql.warehouse.dir').rows[0][1] %}
        {% for schema in [target.schema, source('raw', 'lines').schema, target.schema ~ '_ml'] if given != '<undefined>'
            and adapter.check_schema_exists(none, schema) %}
            {% set rows = run_query('describe schema ' ~ schema).rows %}
            {% set location = (rows | selectattr(0, 'equalto', 'Location') | first)[1] %}
            {% set location = run_query(
                'select coalesce(try_url_decode(replace(place, "+", "%2B")), place) from values ('
                ~ sql_list([location]) ~ ') as places (place)'
            ).rows[0][0] %}
            {% set are_folders = location.startswith('file:') and warehouse.startswith('file:') %}
            {% set place = warehouse if schema == 'default' else warehouse ~ '/' ~ schema ~ '.db' %}
            {% if location != place and (given or not are_folders or not is_checked) %}
                {% do refuse(
                    'the tables of ' ~ schema ~ ' lie in ' ~ location ~ ', and new ones would lie '
                    ~ 'in ' ~ warehouse ~ ': set SPARKIFY_WAREHOUSE as it was, or SPARKIFY_HOME to '
                    ~ 'a new folder'
                ) %}
            {% endif %}
        {% endfor %}
    {% endif %}
{% endmacro %}
