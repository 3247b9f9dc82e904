{#
    The values of replace_by whose rows are missing, out of date or left over, as SQL literals in
    order, and whether the table has rows of any.

        {{ changed_values() }}
            ->  {'literals': ["date'2018-10-01'", "date'2018-10-02'"], 'is_any_present': true}
#}
{% macro changed_values() %}
    {% set key = config.require('replace_by') %}
    {% set versions = config.get('versions') %}
    {% set query %}
        with expected as (
            select {{ key }} as value, max(input_version) as version
            from {{ ref(versions) if versions else '(\n' ~ model['compiled_code'] ~ '\n)' }}
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
            present.value is not null as is_present
        from expected
        full outer join present on expected.value = present.value
        where not expected.version <=> present.version
        order by value
    {% endset %}
    {% set columns = adapter.get_columns_in_relation(this) %}
    {% set type = (columns | selectattr('name', 'equalto', key) | first).dtype %}
    {% set changed, literals = run_query(query).rows, [] %}
    {% for value, _ in changed %}
        {% set literal = sql_list([value | string]) %}
        {% do literals.append(literal if type == 'string' else type ~ literal) %}
    {% endfor %}
    {% do return({
        'literals': literals,
        'is_any_present': changed | map(attribute=1) | select | list | length > 0,
    }) %}
{% endmacro %}
