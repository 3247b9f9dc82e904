-- One row per user_id to be scored: what contacting the user is expected to bring.
with scores as (
    select * from {{ ref('fct_churn_scores') }}
),

features as (
    select * from {{ ref('fct_user_features') }}
),

definitions as (
    select * from {{ ref('dim_definitions') }}
),

present as (
    select
        scores.user_id,
        scores.as_of_date,
        scores.probability,
        scores.reason_1,
        scores.reason_2,
        scores.reason_3,
        scores.is_proven,
        features.is_paid,
        -- Who was never seen to pay is worth what a free user is.
        if(
            features.is_paid, {{ customer_value('paid') }}, {{ customer_value('free') }}
        )::double as customer_value
    from scores
    inner join features
        on
            scores.user_id = features.user_id
            and scores.as_of_date = features.as_of_date
    cross join definitions
    -- A score for another horizon or churn is no answer to the present question.
    where {{ is_meant_now('scores') }}
),

valued as (
    select
        *,
        -- Who would have stayed takes the offer too.
        probability
        * {{ var('acceptance') }}
        * (customer_value - {{ var('offer_cost') }})
        - (1 - probability) * {{ var('offer_cost') }}
        - {{ var('contact_cost') }} as expected_value,
        '{{ var("currency") }}' as currency,
        '{{ economics_in_words() }}' as assumptions
    from present
),

targets as (
    select
        *,
        expected_value > 0 as is_worth_contacting,
        row_number() over (order by expected_value desc, user_id asc) as priority
    from valued
)

select * from targets
