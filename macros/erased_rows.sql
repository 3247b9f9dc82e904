{#
    What is remembered of the users who are erased and can be recognized under this
    SPARKIFY_USER_KEY: rows of erased_users, none before the first.

        {{ erased_rows() }}  ->  [{'salt': '5f0c...', 'user_hash': '9d4e...', 'is_word': true, ...}]
#}
{% macro erased_rows() %}
    {% set table = load_relation(erased_users()) if execute else none %}
    {% set rows, digest = [], user_key_digest() if table else '' %}
    {% for row in (run_query('select * from ' ~ table).rows if table else [])
        if row['key_digest'] in ['', digest] %}
        {% do rows.append(row) %}
    {% endfor %}
    {% do return(rows) %}
{% endmacro %}
