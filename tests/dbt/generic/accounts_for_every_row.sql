{#
    Rows read = accepted + rejected + duplicates: nothing vanishes on the way.

    Counted three times over: the lines of the source, the parsed rows, and the staged tables.
#}
{% test accounts_for_every_row(model) %}
with counts as (
    select
        (select count(*) from {{ source('raw', 'events') }}) as read_count,
        (select count(*) from {{ model }}) as parsed_count,
        (select sum(copy_count) from {{ ref('stg_sparkify__events') }}) as accepted_count,
        (select count(*) from {{ ref('stg_sparkify__rejected_events') }}) as rejected_count
)

select *
from counts
where
    read_count != parsed_count
    or read_count != coalesce(accepted_count, 0) + rejected_count
{% endtest %}
