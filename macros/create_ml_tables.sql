{#
    Create the tables that `ml` appends to, empty, so that the marts above them build before the
    first model is trained.

        on-run-start: "{{ create_ml_tables() }}"
#}
{% macro create_ml_tables() %}
    {% if execute and flags.WHICH in ['run', 'build'] %}
        {% set tables = {
            'churn_scores': 'user_id string, as_of_date date, probability double, '
                ~ 'reason_1 string, reason_2 string, reason_3 string, model_name string, '
                ~ 'model_version int, feature_table_version bigint, scored_at timestamp',
            'model_performance': 'run_id string, trained_at timestamp, model_name string, '
                ~ 'model_version int, candidate string, metric string, value double, '
                ~ 'ci_low double, ci_high double, no_skill double, row_count bigint, '
                ~ 'user_count bigint, churner_count bigint, feature_table string, '
                ~ 'feature_table_version bigint',
        } %}
        {% set schema = source('ml', 'churn_scores').schema %}
        {% do run_query('create schema if not exists ' ~ schema) %}
        {% for name, columns in tables.items() if not load_relation(source('ml', name)) %}
            {% do run_query(
                'create table if not exists ' ~ source('ml', name) ~ ' (' ~ columns ~ ') using '
                ~ ('parquet' if target.name == 'parquet' else 'delta')
            ) %}
        {% endfor %}
    {% endif %}
{% endmacro %}
