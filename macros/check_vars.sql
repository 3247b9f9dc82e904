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
    {% if var('churn_pages') | length == 0 %}
        {% do wrong.append('churn_pages is empty: name at least one page') %}
    {% endif %}
    {% for name in ['horizon_days', 'active_days', 'min_history_days'] if var(name) | int < 1 %}
        {% do wrong.append(name ~ ' is ' ~ var(name) ~ ': it must be a whole number above 0') %}
    {% endfor %}
    {% if var('snapshot_weekday') not in weekdays %}
        {% do wrong.append('snapshot_weekday is not one of ' ~ weekdays | join(', ')) %}
    {% endif %}
    {% if windows | length < 2 or windows != windows | sort | unique | list %}
        {% do wrong.append('feature_windows needs two or more days in rising order') %}
    {% elif windows | last < var('active_days') | int %}
        {% do wrong.append('the last of feature_windows must reach back active_days') %}
    {% endif %}
    {% if wrong %}
        {% do exceptions.raise_compiler_error('vars: ' ~ wrong | join('; ')) %}
    {% endif %}
{% endmacro %}
