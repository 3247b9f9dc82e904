{#
    The columns of the ledger that say of which run a row is, and when its checks began.

        {{ ledger_run() }}  ->  '5d41...' as run_id, timestamp'2018-10-01 08:00:00' as checked_at
#}
{% macro ledger_run() -%}
    '{{ dbt_metadata_envs.get("SPARKIFY_RUN_ID", invocation_id) }}' as run_id,
    timestamp'{{ run_started_at.strftime("%Y-%m-%d %H:%M:%S") }}' as checked_at
{%- endmacro %}
