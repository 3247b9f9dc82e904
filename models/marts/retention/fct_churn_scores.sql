-- One row per (user_id, as_of_date): the score by the latest scoring of the date, of those that
-- mean what churn means now where there are any: a trial of other vars does not hide them.
with scores as (
    select * from {{ source('ml', 'churn_scores') }}
    where not coalesce(is_shadow, false)
),

definitions as (
    select * from {{ ref('dim_definitions') }}
),

ranked as (
    select
        scores.*,
        -- Equal in all rows of a scoring: whoever it left out has no score for the date any more.
        rank() over (
            partition by scores.as_of_date
            order by
                {{ is_meant_now('scores') }} desc, scores.scored_at desc, scores.model_version desc
        ) as recency
    from scores
    cross join definitions
),

latest as (
    select
        user_id,
        as_of_date,
        probability,
        reason_1,
        reason_2,
        reason_3,
        model_name,
        model_version,
        feature_table_version,
        scored_at,
        horizon_days,
        churn_definition,
        is_proven
    from ranked
    where recency = 1
)

select * from latest
