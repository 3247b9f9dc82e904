{#
    The values of replace_by whose rows are missing, out of date or left over, as SQL literals:
    those that the table has, and those that are new to it.

        {{ changed_values() }}  ->  {'present': ["date'2018-10-01'"], 'new': ["date'2018-10-02'"]}
#}
{% macro changed_values() %}
    {% set key = config.require('replace_by') %}
    {% set versions = config.get('versions') %}
    {% set query %}
        with expected as (
            select {{ key }} as value, max(input_version) as version
            from {{ ref(versions) if versions else '(' ~ model['compiled_code'] ~ ')' }}
            where {{ config.get('versions_where', 'true') }}
            group by {{ key }}
        ),

        present as (
            select {{ key }} as value, max(input_version) as version
            from {{ this }}
            group by {{ key }}
        )

        select
            coalesce(expected.value, present.value) as value,
            present.value is null as is_new
        from expected
        full outer join present on expected.value = present.value
        where not expected.version <=> present.version
        order by value
    {% endset %}
    {% set columns = adapter.get_columns_in_relation(this) %}
    {% set type = (columns | selectattr('name', 'equalto', key) | first).dtype %}
    {% set changed = {'present': [], 'new': []} %}
    {% for value, is_new in run_query(query).rows %}
        {% set literal = sql_list([value | string]) %}
        {% do changed['new' if is_new else 'present'].append(
            literal if type == 'string' else type ~ literal
        ) %}
    {% endfor %}
    {% do return(changed) %}
{% endmacro %}
