{#
    Where Spark finds the SPARKIFY_USER_KEY: a reference that it replaces when it reads a statement,
    so that the key stands in no compiled SQL and in no log.

        '{{ user_key() }}'  ->  '${env:SPARKIFY_USER_KEY}'

    A session in this process has the environment; to a server the profile hands the key as a
    setting of the session.
#}
{% macro user_key() -%}
    {{ '${sparkify.user.key}' if target.name == 'thrift' else '${env:SPARKIFY_USER_KEY}' }}
{%- endmacro %}
