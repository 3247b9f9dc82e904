{#
    The id of a user as tables have it: that of the log, or with a SPARKIFY_USER_KEY a keyed hash.

        {{ user_id('log_user_id') }}  ->  log_user_id

    Arguments:
        log_user_id: the id of the log, cleaned, as an expression.
#}
{% macro user_id(log_user_id) -%}
    {{ keyed_user(log_user_id) if user_key_digest() else log_user_id }}
{%- endmacro %}
