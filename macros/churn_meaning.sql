{#
    What churn means under the vars of the run, in words that a model is stored with.

        {{ churn_meaning() }}  ->  cancelled: Cancellation Confirmation
#}
{% macro churn_meaning() %}
    {% if var('churn_definition') == 'inactive' %}
        {% do return('inactive: ' ~ var('inactive_days') ~ ' days') %}
    {% endif %}
    {% do return(var('churn_definition') ~ ': ' ~ churn_pages() | join(', ')) %}
{% endmacro %}
