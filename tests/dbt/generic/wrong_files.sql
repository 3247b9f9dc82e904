{#
    No file of many is something else than a log of events: of none with so many rows are more than
    max_rejected_share rejected (the anonymous ones, those of erased users and of other users than
    user_share keeps apart), and of none with so many accepted rows more than max_nulled_share have
    any value that cannot be. In the whole log a file of a hundred would be lost.
#}
{% test wrong_files(model, minimum) %}
with files as (
    select
        source_file,
        count(*) as row_count,
        count_if(rejection_reason is null) as accepted_count,
        count_if(rejection_reason not in ('anonymous', 'erased', 'other_user')) as rejected_count,
        count_if(
            exists(split(nulled_fields, ','), field -> field not like 'state:%')
        ) as nulled_count
    from {{ model }}
    group by source_file
)

select *
from files
where
    (
        row_count >= {{ minimum }}
        and rejected_count > row_count * {{ var('max_rejected_share') }}
    )
    or (
        accepted_count >= {{ minimum }}
        and nulled_count > accepted_count * {{ var('max_nulled_share') }}
    )
{% endtest %}
