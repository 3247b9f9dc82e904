{#
    No file of many is something else than a log of events: of none with so many rows are more than
    max_rejected_share rejected (of what is neither anonymous nor of erased users), of none with so
    many bytes all are, and of none with so many accepted rows more than max_nulled_share have any
    value that cannot be. In the whole log a file of a hundred would be lost, and so would a day that
    is one broken line.
#}
{% test wrong_files(model, minimum, minimum_bytes) %}
with files as (
    select
        source_file,
        count_if(rejection_reason is null or rejection_reason not in ('anonymous', 'erased')) as row_count,
        count_if(rejection_reason is null) as accepted_count,
        count_if(rejection_reason not in ('anonymous', 'erased', 'other_user')) as rejected_count,
        count_if(
            exists(split(nulled_fields, ','), field -> field not like 'state:%')
        ) as nulled_count
    from {{ model }}
    group by source_file
)

select files.*
from files
inner join {{ ref('base_sparkify__line_counts') }} as line_counts
    on files.source_file = line_counts.source_file
where
    (
        row_count >= {{ minimum }}
        and rejected_count > row_count * {{ var('max_rejected_share') }}
    )
    or (
        line_counts.file_size_bytes >= {{ minimum_bytes }}
        and rejected_count > 0
        and rejected_count = row_count
    )
    or (
        accepted_count >= {{ minimum }}
        and nulled_count > accepted_count * {{ var('max_nulled_share') }}
    )
{% endtest %}
