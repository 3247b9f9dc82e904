-- One row per rejected row of the source.
with rejected as (
    select
        source_file,
        rejection_reason,
        raw_row
    from {{ ref('base_sparkify__rows') }}
    where rejection_reason != 'other_user'
)

select * from rejected
