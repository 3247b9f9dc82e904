-- One row per (user_id, as_of_date): every eligible user on every Monday of history, labelled.
with user_days as (
    select * from {{ ref('fct_user_days') }}
),

users as (
    select * from {{ ref('dim_users') }}
),

period as (
    {{ observed_period('user_days') | indent(4) }}
),

as_of_dates as (
    select explode(sequence(first_snapshot, scoring_date, interval 7 days)) as as_of_date
    from (
        select
            scoring_date,
            -- next_day is strictly later, so it starts one day early.
            next_day(
                date_add(first_date, {{ var('min_history_days') }} - 1),
                '{{ var("snapshot_weekday") }}'
            ) as first_snapshot
        from period
    )
    -- A sequence that starts after its end would run backwards.
    where first_snapshot <= scoring_date
),

features as (
    {{ user_features('user_days', 'as_of_dates') | indent(4) }}
),

followed as (
    select
        features.*,
        date_add(features.as_of_date, {{ var('horizon_days') }}) <= period.scoring_date
            as is_observed,
        -- Null without a churn; never negative, for who churned before is not eligible.
        datediff(to_date(users.churned_at), features.as_of_date) as days_to_first_churn
    from features
    inner join users on features.user_id = users.user_id
    cross join period
),

snapshots as (
    select
        * except (is_observed, days_to_first_churn),
        if(
            is_observed,
            coalesce(days_to_first_churn < {{ var('horizon_days') }}, false),
            null
        ) as is_churned_next_{{ var('horizon_days') }}d,
        if(
            is_observed and days_to_first_churn < {{ var('horizon_days') }},
            days_to_first_churn,
            null
        ) as days_to_churn
    from followed
)

select * from snapshots
