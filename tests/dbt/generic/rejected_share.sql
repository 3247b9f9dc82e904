{#
    Of the rows without the anonymous ones and those of erased users not more than max_rejected_share
    are rejected: above it the file is something else than a log of events, and the previous marts
    are worth more. Rows are rejected whosever they are, so it is the share of the whole log whatever user_share is.
#}
{% test rejected_share(model) %}
with shares as (
    select
        count_if(rejection_reason is null or rejection_reason not in ('anonymous', 'erased')) as row_count,
        count_if(rejection_reason not in ('anonymous', 'erased', 'other_user')) as rejected_count
    from {{ model }}
)

select *
from shares
where rejected_count > row_count * {{ var('max_rejected_share') }}
{% endtest %}
