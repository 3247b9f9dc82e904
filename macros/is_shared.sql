{#
    Whether others may build beside this session: it is one of a server, or its metastore is a
    shared one. A session in this process has the embedded metastore alone.

        {{ is_shared() }}  ->  false
#}
{% macro is_shared() %}
    {% do return(
        adapter.config.credentials.method != 'session' or env_var('SPARK_REMOTE', '') != ''
        or (target.name != 'parquet' and env_var('SPARKIFY_METASTORE_URL', '') | trim != '')
    ) %}
{% endmacro %}
