{#
    The columns of fct_user_days that say of the user what was known last on the day.

        {% for column in last_known() %}
            ->  last_level, last_platform, last_state, gender, registered_at
#}
{% macro last_known() %}
    {% do return(['last_level', 'last_platform', 'last_state', 'gender', 'registered_at']) %}
{% endmacro %}
