-- One row per as_of_date that was scored: how the scores fared against what happened later.
with scores as (
    select * from {{ ref('fct_churn_scores') }}
),

users as (
    select * from {{ ref('dim_users') }}
),

user_days as (
    select * from {{ ref('fct_user_days') }}
),

period as (
    {{ observed_period('user_days') | indent(4) }}
),

outcomes as (
    select
        scores.user_id,
        scores.as_of_date,
        scores.probability,
        date_add(scores.as_of_date, {{ var('horizon_days') }}) <= period.scoring_date
            as is_observed,
        coalesce(
            to_date(users.churned_at) >= scores.as_of_date
            and to_date(users.churned_at)
            < date_add(scores.as_of_date, {{ var('horizon_days') }}),
            false
        ) as is_churned
    from scores
    inner join users on scores.user_id = users.user_id
    cross join period
),

ranked as (
    select
        *,
        -- The mean rank of equal scores.
        rank() over (partition by as_of_date order by probability)
        + (count(*) over (partition by as_of_date, probability) - 1) / 2 as mean_rank
    from outcomes
),

weeks as (
    select
        as_of_date,
        is_observed,
        count(*) as user_count,
        sum(probability) as expected_churner_count,
        count_if(is_churned) as churner_count,
        sum(if(is_churned, mean_rank, 0)) as churner_ranks,
        avg(-ln(if(is_churned, probability, 1 - probability))) as log_loss
    from ranked
    group by as_of_date, is_observed
),

fared as (
    select
        as_of_date,
        user_count,
        expected_churner_count,
        if(is_observed, churner_count, null) as churner_count,
        if(is_observed, log_loss, null) as log_loss,
        if(
            is_observed and churner_count > 0 and churner_count < user_count,
            (churner_ranks - churner_count * (churner_count + 1) / 2)
            / (churner_count * (user_count - churner_count)),
            null
        ) as roc_auc
    from weeks
)

select * from fared
