{#
    Not more than max_rejected_share of the rows are rejected, the anonymous ones apart: above it
    the file is something else than a log of events, and the marts of before are worth more.
#}
{% test rejected_share(model) %}
with shares as (
    select
        count(*) as row_count,
        count_if(rejection_reason != 'anonymous') as rejected_count
    from {{ model }}
)

select *
from shares
where rejected_count > row_count * {{ var('max_rejected_share') }}
{% endtest %}
