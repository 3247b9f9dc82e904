{#
    The day from which a user is watched for a churn: the first one in the data; null for who had
    churned before it.

        {{ entry_date('first_date', 'registered_date', 'data_date') }}  ->  first_date

    Where inactivity is the churn, whoever registered before the data is seen at first because of
    being active, and cannot churn for inactive_days. All who have not churned before are seen within
    these days, and are watched from the last of them.

    Arguments:
        first_date: an expression, the user's first day in the data.
        registered_date: an expression, the day of the registration.
        data_date: an expression, the first day of the data.
#}
{% macro entry_date(first_date, registered_date, data_date) -%}
    {%- if var('churn_definition') == 'inactive' -%}
    {%- set watched_date = 'date_add(' ~ data_date ~ ', ' ~ (var('inactive_days') | int - 1) ~ ')' -%}
    case
            when {{ registered_date }} < {{ data_date }}
                then if({{ first_date }} <= {{ watched_date }}, {{ watched_date }}, null)
            else {{ first_date }}
        end
    {%- else -%}
    {{ first_date }}
    {%- endif -%}
{%- endmacro %}
