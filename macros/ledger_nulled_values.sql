{#
    The statement that appends what staging set to null, a row for each field and reason, as a
    warning.

        {{ ledger_nulled_values() }}
            ->  insert into sparkify.quality_ledger by name select ... from stg_sparkify__nulled_values
#}
{% macro ledger_nulled_values() %}
    {% set schema = source('checks', 'quality_ledger').schema %}
    insert into {{ source('checks', 'quality_ledger') }} by name
    select
        {{ ledger_run() }},
        'staging' as layer,
        'stg_sparkify__events' as table_name,
        concat('values of ', field, ' that became null: ', reason) as check_name,
        'dbt' as tool,
        'warn' as severity,
        'warn' as status,
        row_count as failure_count,
        (select sum(row_count) from {{ schema }}.base_sparkify__event_dates) as row_count,
        null as detail
    from {{ schema }}.stg_sparkify__nulled_values
{% endmacro %}
