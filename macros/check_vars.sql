{#
    Refuse definitions that contradict each other, before anything is built.

        on-run-start: "{{ check_vars() }}"
#}
{% macro check_vars() %}
    {% set windows = var('feature_windows') %}
    {% set weekdays = [
        'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday', 'Sunday'
    ] %}
    {% set wrong = [] %}
    {% set definitions = ['cancelled', 'cancelled_or_downgraded', 'inactive'] %}
    {% if var('churn_definition') not in definitions %}
        {% do wrong.append('churn_definition is not one of ' ~ definitions | join(', ')) %}
    {% endif %}
    {% for name in ['churn_pages', 'downgrade_pages'] if var(name) is string or not var(name) %}
        {% do wrong.append(name ~ ' must be a list of at least one page') %}
    {% endfor %}
    {% for name in ['horizon_days', 'active_days', 'min_history_days', 'inactive_days']
        if var(name) is not integer or var(name) < 1 %}
        {% do wrong.append(name ~ ' is ' ~ var(name) ~ ': it must be a whole number above 0') %}
    {% endfor %}
    {% set latest = var('horizon_days') | int + var('active_days') | int - 1 %}
    {% if var('churn_definition') == 'inactive' and var('inactive_days') | int > latest %}
        {% do wrong.append(
            'inactive_days is ' ~ var('inactive_days') ~ ', but nobody who was active in the last '
            ~ 'active_days can be inactive for more than ' ~ latest ~ ' days within the horizon'
        ) %}
    {% endif %}
    {% if var('snapshot_weekday') not in weekdays %}
        {% do wrong.append('snapshot_weekday is not one of ' ~ weekdays | join(', ')) %}
    {% endif %}
    {% if windows | length < 2 or windows != windows | sort | unique | list %}
        {% do wrong.append('feature_windows needs two or more days in rising order') %}
    {% elif windows | last < var('active_days') | int %}
        {% do wrong.append('the last of feature_windows must reach back active_days') %}
    {% endif %}
    {% if var('customer_value') <= var('offer_cost') or not 0 < var('acceptance') < 1 %}
        {% do wrong.append(
            'customer_value must exceed offer_cost, and acceptance lie between 0 and 1'
        ) %}
    {% endif %}
    {% if wrong %}
        {% do exceptions.raise_compiler_error('vars: ' ~ wrong | join('; ')) %}
    {% endif %}
{% endmacro %}
