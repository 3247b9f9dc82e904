{#
    Whether a user is not of the share that is kept (the var user_share). The same share has the
    same users, whatever the log and the SPARKIFY_USER_KEY, and a larger one has them too.

        {{ is_left_out('log_user_id') }}
            ->  pmod(xxhash64('user_share', log_user_id), 1000000000) >= 0.1 * 1000000000

    Arguments:
        log_user_id: the id of the log, cleaned, as an expression.
#}
{% macro is_left_out(log_user_id) -%}
    {%- set user_share = valid_var('user_share', otherwise=1) -%}
    {%- if user_share < 1 -%}
        pmod(xxhash64('user_share', {{ log_user_id }}), 1000000000) >= {{ user_share }} * 1000000000
    {%- else -%}
        false
    {%- endif -%}
{%- endmacro %}
