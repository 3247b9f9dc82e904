{#
    The hash of the definition by which `replace_changed` last made a table anew, as it stands now;
    empty where nothing is known of it.

        {{ made_by(ref('fct_user_snapshots')) }}  ->  5d41402abc4b2a76b9719d911017c592

    Arguments:
        table: a relation.
#}
{% macro made_by(table) -%}
    {%- if execute and target.name != 'parquet' and load_relation(table) -%}
        {%- set property = run_query('show tblproperties ' ~ table ~ " ('sparkify.definition')") -%}
        {{- property.rows[0][1] if ' ' not in property.rows[0][1] -}}
    {%- endif -%}
{%- endmacro %}
