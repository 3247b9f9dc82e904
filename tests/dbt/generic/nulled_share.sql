{#
    Of no field more than max_nulled_share of the accepted rows had a value that cannot be: above
    it the file means something else by the field. A place in no state may only be elsewhere. It is
    of the table that all others come from, so that none of them is built.
#}
{% test nulled_share(model) %}
with reasons as (
    select explode(split(nulled_fields, ',')) as field_and_reason
    from {{ model }}
    where nulled_fields is not null
),

nulled as (
    select
        split_part(field_and_reason, ':', 1) as field,
        count(*) as nulled_count
    from reasons
    where field_and_reason not like 'state:%'
    group by split_part(field_and_reason, ':', 1)
),

accepted as (
    select count_if(rejection_reason is null) as row_count
    from {{ model }}
)

select *
from nulled
cross join accepted
where nulled.nulled_count > accepted.row_count * {{ var('max_nulled_share') }}
{% endtest %}
