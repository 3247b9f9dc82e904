{#
    What each var of the project has to be: a list of the values it may have, or a kind that
    `wrong_values` knows.

        {{ kinds_of_vars()['horizon_days'] }}  ->  days
#}
{% macro kinds_of_vars() %}
    {% do return({
        'events_format': ['json', 'parquet'],
        'user_share': 'share above 0',
        'max_rejected_share': 'share',
        'max_nulled_share': 'share',
        'churn_definition': ['cancelled', 'cancelled_or_downgraded', 'inactive'],
        'churn_pages': 'texts',
        'downgrade_pages': 'texts',
        'inactive_days': 'days',
        'horizon_days': 'days',
        'active_days': 'days',
        'snapshot_weekday': [
            'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday', 'Sunday'
        ],
        'min_history_days': 'days',
        'feature_windows': 'list of days',
        'min_at_risk': 'count',
        'currency': 'currency',
        'customer_value': 'amount by level',
        'contact_cost': 'amount',
        'offer_cost': 'amount',
        'acceptance': 'share between',
        'anonymous_auths': 'texts',
        'first_valid_date': 'date',
        'last_valid_date': 'date',
    }) %}
{% endmacro %}
