{#
    A column, null in the rows of users who are left out by the var user_share.

        {{ unless_left_out('page') }}  ->  if(rejection_reason <=> 'other_user', null, `page`)

    Arguments:
        column: the name of a column beside rejection_reason.
#}
{% macro unless_left_out(column) -%}
    {%- if valid_var('user_share', otherwise=1) < 1 -%}
        if(rejection_reason <=> 'other_user', null, `{{ column }}`)
    {%- else -%}
        `{{ column }}`
    {%- endif -%}
{%- endmacro %}
