{#
    What tells one SPARKIFY_USER_KEY from another without telling it; empty where there is none.

        {{ user_key_digest() }}  ->  3fa9c2d10b7e

    `key_digest` of sparkify/identity.py says the same.
#}
{% macro user_key_digest() %}
    {% if execute %}
        {# Without a key the reference stays as it is, or becomes empty. #}
        {% set found = run_query(
            "select if(key rlike '^[$]|^$', '', left(sha2(concat('digest of ', key), 256), 12)), "
            ~ "key rlike '^[$]|^$|^[0-9a-f]{64}$' from values ('" ~ user_key() ~ "') as keys (key)"
        ).rows[0] %}
        {% if not found[1] %}
            {% do refuse('SPARKIFY_USER_KEY has to be 64 hexadecimal digits in lower case, as '
                ~ '`openssl rand -hex 32` prints them') %}
        {% endif %}
        {% do return(found[0]) %}
    {% endif %}
    {% do return('') %}
{% endmacro %}
