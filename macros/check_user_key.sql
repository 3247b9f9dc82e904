{#
    Refuse a run under a SPARKIFY_USER_KEY that cannot be kept: Spark does not have it, or users who
    are erased are remembered by another one.

        on-run-start: "{{ check_user_key() }}"
#}
{% macro check_user_key() %}
    {% if execute and flags.WHICH in ['run', 'build'] %}
        {% set digest, given = user_key_digest(), dbt_metadata_envs.get('SPARKIFY_KEY_DIGEST') %}
        {% if given is not none and given != digest %}
            {% do refuse(
                'Spark does not have the SPARKIFY_USER_KEY of this command: name the server by '
                ~ 'SPARKIFY_TARGET=thrift rather than by SPARK_REMOTE alone'
            ) %}
        {% endif %}
        {% set others = run_query(
            'select count(distinct user_hash) from ' ~ erased_users()
            ~ " where key_digest not in ('', '" ~ digest ~ "')"
        ).rows[0][0] %}
        {% if others %}
            {% do refuse(
                'users are erased (' ~ others ~ ') who are remembered by another SPARKIFY_USER_KEY, and '
                ~ 'cannot be recognized under this one: set that key again'
            ) %}
        {% endif %}
    {% endif %}
{% endmacro %}
