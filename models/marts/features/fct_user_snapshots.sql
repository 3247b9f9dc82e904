-- One row per (user_id, as_of_date): every eligible user on every Monday of history, labelled.
with user_days as (
    select * from {{ ref('fct_user_days') }}
),

as_of_dates as (
    select * from {{ ref('dim_snapshot_dates') }}
),

churns as (
    {{ first_churns('user_days') | indent(4) }}
),

features as (
    {{ user_features(
        'user_days', 'as_of_dates', carried=['is_observed', 'input_version']
    ) | indent(4) }}
),

followed as (
    select
        features.*,
        -- Null without a churn; never negative, for who churned before is not eligible.
        datediff(to_date(churns.churned_at), features.as_of_date) as days_to_first_churn
    from features
    left join churns on features.user_id = churns.user_id
),

snapshots as (
    select
        * except (is_observed, input_version, days_to_first_churn),
        if(
            is_observed,
            coalesce(days_to_first_churn < {{ var('horizon_days') }}, false),
            null
        ) as is_churned_next_{{ var('horizon_days') }}d,
        if(
            is_observed and days_to_first_churn < {{ var('horizon_days') }},
            days_to_first_churn,
            null
        ) as days_to_churn,
        input_version
    from followed
)

select * from snapshots
