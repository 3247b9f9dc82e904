{#
    Refuse definitions that cannot be or contradict each other, all at once and before anything is
    built.

        on-run-start: "{{ check_vars() }}"
#}
{% macro check_vars() %}
    {% set wrong = wrong_values() %}
    {% for name in invocation_args_dict.get('vars', {}) if name not in kinds_of_vars() %}
        {% do wrong.append(name ~ ' is no var of this project; there are '
            ~ kinds_of_vars() | join(', ')) %}
    {% endfor %}
    {# What contradicts can be told only of values that make sense alone. #}
    {% set sound = [] %}
    {% for name, kind in kinds_of_vars().items() if is_of_kind(var(name), kind) %}
        {% do sound.append(name) %}
    {% endfor %}
    {% if var('churn_definition') == 'inactive' and 'inactive_days' in sound
        and 'horizon_days' in sound and 'active_days' in sound %}
        {% set latest = var('horizon_days') + var('active_days') - 1 %}
        {% if var('inactive_days') > latest %}
            {% do wrong.append(
                'inactive_days is ' ~ var('inactive_days') ~ ', but nobody who was active in the '
                ~ 'last active_days can be inactive for more than ' ~ latest ~ ' days within the '
                ~ 'horizon'
            ) %}
        {% endif %}
    {% endif %}
    {% if 'feature_windows' in sound %}
        {% set windows = var('feature_windows') %}
        {% if windows | length < 2 or windows != windows | unique | sort %}
            {% do wrong.append('feature_windows is ' ~ windows
                ~ ': it needs two or more numbers of days in rising order') %}
        {% elif 'active_days' in sound and windows | last < var('active_days') %}
            {% do wrong.append('the last of feature_windows is ' ~ windows | last
                ~ ': it must reach back active_days, ' ~ var('active_days')) %}
        {% endif %}
    {% endif %}
    {% if 'customer_value' in sound and 'offer_cost' in sound
        and [customer_value('paid'), customer_value('free')] | min <= var('offer_cost') %}
        {% do wrong.append('customer_value is ' ~ var('customer_value')
            ~ ': it must exceed offer_cost, ' ~ var('offer_cost')) %}
    {% endif %}
    {% if 'first_valid_date' in sound and 'last_valid_date' in sound
        and var('first_valid_date') | string >= var('last_valid_date') | string %}
        {% do wrong.append('first_valid_date is ' ~ var('first_valid_date')
            ~ ': it must lie before last_valid_date, ' ~ var('last_valid_date')) %}
    {% endif %}
    {% if wrong %}
        {% do exceptions.raise_compiler_error('vars: ' ~ wrong | join('; ')) %}
    {% endif %}
{% endmacro %}
