{#
    The pages of the log that end a subscription, under the churn_definition of the run.

        {{ sql_list(churn_pages()) }}  ->  'Cancellation Confirmation'
#}
{% macro churn_pages() %}
    {% set downgrades = var('downgrade_pages') if var('churn_definition') != 'cancelled' else [] %}
    {% do return(var('churn_pages') + downgrades) %}
{% endmacro %}
