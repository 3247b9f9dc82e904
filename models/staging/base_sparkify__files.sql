{%- set forms = event_sources().parquet | map(attribute='relation.identifier') | list %}
-- One row per source file that is not empty and that something reads, as it lies there now. What
-- says how a file is read elsewhere, `event_sources`, names files: a view has no room for many.
with found as (
    select
        _metadata.file_path as source_file,
        _metadata.file_size as file_size_bytes,
        _metadata.file_modification_time as modified_at,
        {{ is_called_parquet() }} as is_called_parquet,
        _metadata
    from {{ source('raw', 'files') }}
    where _metadata.file_size > 0
),

listed as (
    select
        file_path,
        form
    from {{ source('raw', 'file_forms') }}
    where form not in ('known', 'whole')
),

recognized as (
    select
        found.*,
        listed.form,
        not found.is_called_parquet and listed.form is null as is_json
    from found
    left join listed on replace(found.source_file, 'file:///', 'file:/') = listed.file_path
),

files as (
    select
        source_file,
        file_size_bytes,
        modified_at,
        {{ file_version('is_json') | indent(4) }} as input_version
    from recognized
    -- Of any other no lines would be found, and that would stand until it changes.
    where is_json{% if forms %} or coalesce(form, 'parquet_0') in ({{ sql_list(forms) }}){% endif %}
)

select * from files
