-- One row per source file: its lines, counted without parsing them.
with files as (
    select * from {{ ref('base_sparkify__files') }}
),

lines as (
    select
        _metadata.file_path as source_file,
        count_if(trim(leading ' \t\r' from value) != '') as line_count
    from {{ source('raw', 'lines') }}
    where {{ event_sources().json }}
    group by _metadata.file_path
    {%- for form in event_sources().parquet %}

    union all

    select
        _metadata.file_path as source_file,
        count(*) as line_count
    from {{ form.relation }}
    where {{ form.condition }}
    group by _metadata.file_path
    {%- endfor %}
),

line_counts as (
    select
        files.source_file,
        files.file_size_bytes,
        files.input_version,
        coalesce(lines.line_count, 0) as line_count
    from files
    left join lines on files.source_file = lines.source_file
)

select * from line_counts
