-- One row per (run_id, candidate, metric): how each candidate model did in its backtest.
with performance as (
    select
        run_id,
        trained_at,
        model_name,
        model_version,
        candidate,
        metric,
        value,
        ci_low,
        ci_high,
        no_skill,
        row_count,
        user_count,
        churner_count,
        feature_table,
        feature_table_version
    from {{ source('ml', 'model_performance') }}
)

select * from performance
