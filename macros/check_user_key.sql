{#
    Refuse a run under a SPARKIFY_USER_KEY that cannot be kept: Spark does not have it, users who
    are erased are remembered by another one, or a folder of the log is named for a user.

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
        {% set named = run_query(
            'select _metadata.file_path from ' ~ source('raw', 'files')
            ~ " where lower(_metadata.file_path) like '%/userid=%' limit 1"
        ).rows if digest else [] %}
        {% for row in named %}
            {% do refuse(
                row[0] ~ ' lies in a folder that is named for a user, and tables name the file: '
                ~ 'with a SPARKIFY_USER_KEY give the folder another name'
            ) %}
        {% endfor %}
    {% endif %}
{% endmacro %}
