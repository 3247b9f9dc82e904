-- One row per user_id who can still be kept: features as of the day after the last day of data.
with user_days as (
    select * from {{ ref('fct_user_days') }}
),

as_of_dates as (
    select
        first_date,
        scoring_date as as_of_date
    from (
        {{ observed_period('user_days') | indent(8) }}
    )
),

features as (
    {{ user_features('user_days', 'as_of_dates') | indent(4) }}
)

select * from features
