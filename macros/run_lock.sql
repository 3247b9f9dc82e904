{#
    The view that a run holds while it is under way. It is named for the server, with which it ends;
    in a metastore that several drivers share there is one for all of them.

        {{ run_lock() }}  ->  sparkify_raw.run_of_local_1764130000000, or sparkify_raw.run_of_all
#}
{% macro run_lock() %}
    {#- Of the address Spark shows stars. #}
    {% set name = 'spark.hadoop.javax.jdo.option.ConnectionDriverName' %}
    {% set is_for_all = run_query('set ' ~ name).rows[0][1] == 'org.postgresql.Driver' %}
    {% set holder = 'all' if is_for_all else run_query('set spark.app.id').rows[0][1] %}
    {% do return(api.Relation.create(
        schema=source('raw', 'lines').schema,
        identifier='run_of_' ~ modules.re.sub('\\W', '_', holder),
        type='view'
    )) %}
{% endmacro %}
