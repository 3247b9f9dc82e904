{%- set sources = event_sources() %}
-- One row per source file that is not empty and that something reads, as it lies there now.
with files as (
    select
        _metadata.file_path as source_file,
        _metadata.file_size as file_size_bytes,
        _metadata.file_modification_time as modified_at,
        {{ file_version(sources.json) | indent(4) }} as input_version
    from {{ source('raw', 'files') }}
    where
        _metadata.file_size > 0
        -- Of any other no lines would be found, and that would stand until it changes.
        and ({{ sources.any }})
)

select * from files
