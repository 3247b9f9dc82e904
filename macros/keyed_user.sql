{#
    The id of a user as tables have it where a SPARKIFY_USER_KEY is set: HMAC-SHA-256 of the id, the
    first 32 of its hexadecimal digits.

        {{ keyed_user('log_user_id') }}
            ->  left(sha2(concat(... '${env:SPARKIFY_USER_KEY}' ..., log_user_id ...), 256), 32)

    The key, 64 letters, is as long as a block of SHA-256; HMAC wants it with every byte xor 0x36,
    and xor 0x5c. `stored_id` of sparkify/identity.py says the same.

    Arguments:
        user: an id of the log, as an expression.
#}
{% macro keyed_user(user) -%}
    {%- set digits = '0123456789abcdef' -%}
    {%- set inner = "replace(translate('" ~ user_key() ~ "', '" ~ digits
        ~ "', '\\u0006\\u0007\\u0004\\u0005\\u0002\\u0003~\\u0001\\u000e\\u000fWTURSP'), '~', '\\0')" -%}
    {%- set outer = "translate('" ~ user_key() ~ "', '" ~ digits ~ "', 'lmnohijkde=>?89:')" -%}
    left(sha2(concat(
        cast({{ outer }} as binary),
        unhex(sha2(concat({{ inner }}, {{ user }}), 256))
    ), 256), 32)
{%- endmacro %}
