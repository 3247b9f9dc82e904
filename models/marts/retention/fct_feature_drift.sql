-- One row per (as_of_date, feature): how far the users scored are from those learned from, at the
-- scoring that fct_churn_scores has.
with drift as (
    select * from {{ source('ml', 'feature_drift') }}
    -- Before a scoring of nobody was refused it had no date.
    where as_of_date is not null
),

scores as (
    select * from {{ source('ml', 'churn_scores') }}
),

definitions as (
    select * from {{ ref('dim_definitions') }}
),

meanings as (
    select
        scores.model_name,
        scores.model_version,
        bool_and({{ is_meant_now('scores') }}) as is_meant_now
    from scores
    cross join definitions
    group by 1, 2
),

ranked as (
    select
        drift.*,
        -- Equal in all rows of a scoring.
        rank() over (
            partition by drift.as_of_date
            order by
                coalesce(meanings.is_meant_now, true) desc,
                drift.scored_at desc,
                drift.model_version desc
        ) as recency
    from drift
    left join meanings
        on
            drift.model_name <=> meanings.model_name
            and drift.model_version <=> meanings.model_version
),

latest as (
    select
        as_of_date,
        feature,
        psi,
        psi_bound,
        psi_past,
        p_value,
        q_value,
        is_drifted,
        model_name,
        model_version,
        feature_table_version,
        scored_at
    from ranked
    where recency = 1
)

select * from latest
