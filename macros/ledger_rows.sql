{#
    The statement that appends results of tests, each with how many rows its table holds.

        {{ ledger_rows(["('core', 'dim_users', ..., 0, true)"], {'dim_users': relation}) }}
            ->  insert into sparkify.quality_ledger by name select ... from values (...)

    Arguments:
        rows: the results, as SQL rows.
        counted: the relations to count, by the name of their model.
#}
{% macro ledger_rows(rows, counted) %}
    insert into {{ source('checks', 'quality_ledger') }} by name
    select
        {{ ledger_run() }},
        results.layer,
        nullif(results.table_name, '') as table_name,
        results.check_name,
        'dbt' as tool,
        results.severity,
        results.status,
        cast(results.failure_count as bigint) as failure_count,
        row_counts.row_count,
        nullif(results.detail, '') as detail
    from values
        {{ rows | join(',\n        ') }}
        as results (
            layer, table_name, check_name, severity, status, detail, failure_count, is_of_rows
        )
    left join (
        {%- for name, table in counted.items() %}
        select '{{ name }}' as counted_table, count(*) as row_count from {{ table }}
        {{ 'union all' if not loop.last }}
        {%- else %}
        select '' as counted_table, 0 as row_count
        {%- endfor %}
    ) as row_counts on results.table_name = row_counts.counted_table and results.is_of_rows
{% endmacro %}
