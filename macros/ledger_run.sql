{#
    The columns of the ledger that say of which run a row is, and when it was written: after all
    that the run changed.

        {{ ledger_run() }}  ->  '5d41...' as run_id, current_timestamp() as checked_at
#}
{% macro ledger_run() -%}
    '{{ dbt_metadata_envs.get("SPARKIFY_RUN_ID", invocation_id) }}' as run_id,
    current_timestamp() as checked_at
{%- endmacro %}
