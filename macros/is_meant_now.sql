{#
    Whether a score is for the horizon and the churn of the vars of the run, as far as it says.

        {{ is_meant_now() }}  ->  coalesce(horizon_days = 14, true) and coalesce(churn_definition = 'cancelled: ...', true)
#}
{% macro is_meant_now() -%}
    (
        coalesce(horizon_days = {{ var('horizon_days') }}, true)
        and coalesce(churn_definition = {{ sql_list([churn_meaning()]) }}, true)
    )
{%- endmacro %}
