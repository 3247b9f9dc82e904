{#
    The condition of a group of a user's days before as_of_date that the user has not churned yet.

        having {{ not_churned() }}  ->  having max(churn_day_count) = 0

    Each day knows of those before it. It agrees with first_churns, and sees nothing dated
    as_of_date or later.
#}
{% macro not_churned() -%}
    {% if var('churn_definition') == 'inactive' -%}
        coalesce(max(longest_gap_days), 0) <= {{ var('inactive_days') }}
        and datediff(as_of_date, max(activity_date)) <= {{ var('inactive_days') }}
    {%- else -%}
        max(churn_day_count) = 0
    {%- endif %}
{%- endmacro %}
