{#
    Whether a score is for the horizon and the churn that the tables were built with, as far as it says.

        {{ is_meant_now('scores') }}
            ->  coalesce(scores.horizon_days = definitions.horizon_days, true) and ...

    Arguments:
        scores: the scores, beside which `definitions` stands, the row of dim_definitions.
#}
{% macro is_meant_now(scores) -%}
    (
        coalesce({{ scores }}.horizon_days = definitions.horizon_days, true)
        and coalesce({{ scores }}.churn_definition = definitions.churn_definition, true)
    )
{%- endmacro %}
