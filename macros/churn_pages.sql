{#
    The pages of the log that end a subscription, under the churn_definition of the run.

        {{ sql_list(churn_pages()) }}  ->  'Cancellation Confirmation'
#}
{% macro churn_pages() %}
    {% set downgrades = valid_var('downgrade_pages', otherwise=['none']) %}
    {% set cancellations = valid_var('churn_pages', otherwise=['none']) %}
    {% do return(
        cancellations + (downgrades if var('churn_definition') != 'cancelled' else [])
    ) %}
{% endmacro %}
