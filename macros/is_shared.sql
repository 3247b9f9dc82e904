{#
    Whether the session is one of a server, beside those of others; one in this process has the
    metastore alone.

        {{ is_shared() }}  ->  false
#}
{% macro is_shared() %}
    {% do return(
        adapter.config.credentials.method != 'session' or env_var('SPARK_REMOTE', '') != ''
    ) %}
{% endmacro %}
