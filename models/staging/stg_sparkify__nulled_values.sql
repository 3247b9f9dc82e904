-- One row per field and reason for which values of accepted rows became null.
with nulled as (
    select explode(split(nulled_fields, ',')) as field_and_reason
    from {{ ref('base_sparkify__rows') }}
    where nulled_fields is not null
),

nulled_values as (
    select
        split_part(field_and_reason, ':', 1) as field,
        split_part(field_and_reason, ':', 2) as reason,
        count(*) as row_count
    from nulled
    group by field_and_reason
)

select * from nulled_values
