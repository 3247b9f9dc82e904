-- One row per (as_of_date, feature): how far the users scored are from those learned from.
with drift as (
    select * from {{ source('ml', 'feature_drift') }}
    -- Before a scoring of nobody was refused it had no date.
    where as_of_date is not null
),

ranked as (
    select
        *,
        -- Equal in all rows of a scoring.
        rank() over (
            partition by as_of_date order by scored_at desc, model_version desc
        ) as recency
    from drift
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
