{#
    Lines read = lines of which there are rows, and rows = accepted + rejected + duplicates + those
    of other users than user_share keeps: nothing vanishes on the way.

    The lines are counted without parsing them. A file that is another version by then is left to
    the next run; one that grows while the two read it may fail here, and not the next time.
#}
{% test accounts_for_every_row(model) %}
with files as (
    select
        source_file,
        max(input_version) as input_version,
        count_if(is_line_start) as line_count
    from {{ model }}
    group by source_file
),

lost_lines as (
    select
        counted.source_file,
        counted.line_count as counted_count,
        coalesce(files.line_count, 0) as found_count
    from {{ ref('base_sparkify__line_counts') }} as counted
    left join files on counted.source_file = files.source_file
    where
        counted.line_count != coalesce(files.line_count, 0)
        and coalesce(counted.input_version = files.input_version, true)
),

lost_rows as (
    select
        cast(null as string) as source_file,
        (select count(*) from {{ model }}) as counted_count,
        (select coalesce(sum(copy_count), 0) from {{ ref('stg_sparkify__events') }})
        + (select count(*) from {{ ref('stg_sparkify__rejected_events') }})
        + (select count_if(rejection_reason = 'other_user') from {{ model }}) as found_count
)

select * from lost_lines
union all
select * from lost_rows
where counted_count != found_count
{% endtest %}
