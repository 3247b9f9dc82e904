{%- set snapshots_made_by = made_by(ref('fct_user_snapshots')) %}
-- One row per schema: what the feature tables were last built with.
-- It is made after {{ ref('fct_user_snapshots') }} and {{ ref('fct_user_features') }}, so that a
-- build that fails before them changes nothing here.
with definitions as (
    select
        {{ var('horizon_days') }} as horizon_days,
        {{ sql_list([churn_meaning()]) }} as churn_definition,
        {{ var('active_days') }} as active_days,
        '{{ var("feature_windows") | join(", ") }}' as feature_windows,
        '{{ var("snapshot_weekday") }}' as snapshot_weekday,
        cast({{ valid_var('user_share', otherwise=1) }} as double) as user_share,
        '{{ snapshots_made_by }}' as snapshots_made_by
)

select * from definitions
