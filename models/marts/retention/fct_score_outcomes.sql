-- One row per (as_of_date, model_name, model_version, horizon_days, is_shadow): how scores fared
-- later.
with scores as (
    select * from {{ source('ml', 'churn_scores') }}
),

definitions as (
    select * from {{ ref('dim_definitions') }}
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

comparable as (
    select
        scores.user_id,
        scores.as_of_date,
        scores.probability,
        scores.model_name,
        scores.model_version,
        scores.scored_at,
        coalesce(scores.is_shadow, false) as is_shadow,
        coalesce(scores.horizon_days, definitions.horizon_days) as horizon_days
    from scores
    cross join definitions
    -- churned_at is by the present definition, and tells nothing of another one.
    where coalesce(scores.churn_definition = definitions.churn_definition, true)
),

-- Of one date and horizon one model was in use, and each challenger stood beside it.
numbered as (
    select
        *,
        rank() over (
            partition by
                as_of_date,
                horizon_days,
                is_shadow,
                if(is_shadow, model_name, null),
                if(is_shadow, model_version, null)
            order by scored_at desc, model_version desc
        ) as recency
    from comparable
),

latest as (
    select * except (scored_at, recency)
    from numbered
    -- Equal in all rows of a scoring: whoever it left out has no score for the date any more.
    where recency = 1
),

outcomes as (
    select
        latest.*,
        date_add(latest.as_of_date, latest.horizon_days) <= period.scoring_date
            as is_observed,
        coalesce(
            to_date(users.churned_at) >= latest.as_of_date
            and to_date(users.churned_at)
            < date_add(latest.as_of_date, latest.horizon_days),
            false
        ) as is_churned
    from latest
    inner join users on latest.user_id = users.user_id
    cross join period
    -- Of whom late events tell that they had left before the date there is nothing to come true; a
    -- date without data before it, or after the end, is of another log.
    where
        coalesce(to_date(users.churned_at) >= latest.as_of_date, true)
        and latest.as_of_date > period.first_date
        and latest.as_of_date <= period.scoring_date
),

ranked as (
    select
        *,
        -- The mean rank of equal scores.
        rank() over by_probability + (count(*) over with_equal - 1) / 2 as mean_rank
    from outcomes
    window
        by_probability as (
            partition by as_of_date, model_name, model_version, horizon_days, is_shadow
            order by probability
        ),
        with_equal as (
            partition by
                as_of_date, model_name, model_version, horizon_days, is_shadow, probability
        )
),

weeks as (
    select
        as_of_date,
        model_name,
        model_version,
        horizon_days,
        is_shadow,
        is_observed,
        count(*) as user_count,
        sum(probability) as expected_churner_count,
        count_if(is_churned) as churner_count,
        sum(if(is_churned, mean_rank, 0)) as churner_ranks,
        avg(
            -ln(greatest(if(is_churned, probability, 1 - probability), 1e-15))
        ) as log_loss
    from ranked
    group by as_of_date, model_name, model_version, horizon_days, is_shadow, is_observed
),

fared as (
    select
        as_of_date,
        model_name,
        model_version,
        horizon_days,
        is_shadow,
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
