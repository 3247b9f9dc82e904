{#
    The view that a run holds while it is under way on a server.

        {{ run_lock() }}  ->  sparkify_raw.run_of_local_1764130000000
#}
{% macro run_lock() %}
    {% set application = run_query('set spark.app.id').rows[0][1] %}
    {% do return(api.Relation.create(
        schema=source('raw', 'lines').schema,
        identifier='run_of_' ~ modules.re.sub('\\W', '_', application),
        type='view'
    )) %}
{% endmacro %}
