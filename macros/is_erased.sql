{#
    The condition that a user of the log is one whom `sparkify erase` erased: false of all others,
    and where nobody is. The table of these has hashes alone.

        {{ is_erased('log_user_id') }}
            ->  coalesce(sha2(concat('5f0c...', log_user_id), 256) in ('9d4e...'), false)

    Who is erased is no part of a definition: `erase` takes out of the tables what a build with it
    leaves out.

    Arguments:
        user: the id as the log has it.
#}
{% macro is_erased(user) -%}
    {%- set conditions, hashes = [], {} -%}
    {%- for row in erased_rows() -%}
        {%- do hashes.setdefault((row['salt'], row['key_digest']), []).append(row['user_hash']) -%}
    {%- endfor -%}
    {%- for (salt, of_key), known in hashes.items() -%}
        {%- set id = keyed_user(user) if of_key else user -%}
        {%- do conditions.append(
            "coalesce(sha2(concat('" ~ salt ~ "', " ~ id ~ '), 256) in ('
            ~ sql_list(known | unique | sort) ~ '), false)'
        ) -%}
    {%- endfor -%}
    /* erased */ {{ '(' ~ conditions | join(' or ') ~ ')' if conditions else 'false' }} /* end of erased */
{%- endmacro %}
