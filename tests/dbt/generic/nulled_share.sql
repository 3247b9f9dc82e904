{#
    Of no field more than max_nulled_share of the accepted rows had a value that cannot be: above
    it the file means something else by the field.
#}
{% test nulled_share(model) %}
with nulled as (
    select
        field,
        sum(row_count) as nulled_count
    from {{ model }}
    group by field
),

accepted as (
    select sum(row_count) as row_count
    from {{ ref('base_sparkify__event_dates') }}
)

select *
from nulled
cross join accepted
where nulled.nulled_count > accepted.row_count * {{ var('max_nulled_share') }}
{% endtest %}
