{#
    The condition of a group of a user's days before as_of_date that the user has not churned yet.

        having {{ not_churned() }}  ->  having count(first_churn_at) = 0

    It agrees with first_churns, and sees nothing dated as_of_date or later.
#}
{% macro not_churned() -%}
    {% if var('churn_definition') == 'inactive' -%}
        coalesce(max(gap_days), 0) <= {{ var('inactive_days') }}
        and datediff(as_of_date, max(activity_date)) <= {{ var('inactive_days') }}
    {%- else -%}
        count(first_churn_at) = 0
    {%- endif %}
{%- endmacro %}
