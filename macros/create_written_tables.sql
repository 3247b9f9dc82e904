{#
    Create the tables that dbt does not build but that runs append to, empty: what `ml` writes and
    the ledger of checks. So the marts above them build before the first model is trained.

        on-run-start: "{{ create_written_tables() }}"
#}
{% macro create_written_tables() %}
    {% if execute and flags.WHICH in ['run', 'build', 'test'] %}
        {% set columns = {
            source('ml', 'churn_scores'): 'user_id string, as_of_date date, probability double, '
                ~ 'reason_1 string, reason_2 string, reason_3 string, model_name string, '
                ~ 'model_version int, feature_table_version bigint, scored_at timestamp',
            source('ml', 'feature_drift'): 'feature string, as_of_date date, psi double, '
                ~ 'psi_bound double, p_value double, q_value double, is_drifted boolean, '
                ~ 'model_name string, model_version int, feature_table_version bigint, '
                ~ 'scored_at timestamp',
            source('ml', 'model_performance'): 'run_id string, trained_at timestamp, '
                ~ 'model_name string, model_version int, candidate string, metric string, '
                ~ 'value double, ci_low double, ci_high double, no_skill double, '
                ~ 'row_count bigint, user_count bigint, churner_count bigint, '
                ~ 'feature_table string, feature_table_version bigint',
            source('ml', 'backtest'): 'user_id string, as_of_date date, model string, '
                ~ 'origin string, probability double, label int, is_flagged boolean, run_id string',
            source('ml', 'out_of_fold'): 'user_id string, as_of_date date, model string, fold int, '
                ~ 'probability double, label int, run_id string',
            source('ml', 'stack_weights'): 'model string, weight double, share double, '
                ~ 'run_id string',
            source('checks', 'quality_ledger'): 'run_id string, checked_at timestamp, '
                ~ 'layer string, table_name string, check_name string, tool string, '
                ~ 'severity string, status string, failure_count bigint, row_count bigint, '
                ~ 'detail string',
        } %}
        {% for table in columns if not load_relation(table) %}
            {% do run_query('create schema if not exists ' ~ table.schema) %}
            {% do run_query(
                'create table if not exists ' ~ table ~ ' (' ~ columns[table] ~ ') using '
                ~ ('parquet' if target.name == 'parquet' else 'delta')
            ) %}
        {% endfor %}
    {% endif %}
{% endmacro %}
