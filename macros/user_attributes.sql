{#
    What events say of the user rather than of what the user did.

        {% for attribute in user_attributes() %}  ->  level, platform, state, gender, registered_at
#}
{% macro user_attributes() %}
    {% do return(['level', 'platform', 'state', 'gender', 'registered_at']) %}
{% endmacro %}
