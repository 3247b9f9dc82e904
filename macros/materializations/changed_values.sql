{#
    The values of replace_by whose rows are missing, out of date or left over, as SQL literals.

        {{ changed_values() }}  ->  [date'2018-10-01', date'2018-10-02']
#}
{% macro changed_values() %}
    {% set key = config.require('replace_by') %}
    {% set versions = config.get('versions') %}
    {% set query %}
        with expected as (
            select {{ key }} as value, max(input_version) as version
            from {{ ref(versions) if versions else '(' ~ model['compiled_code'] ~ ')' }}
            group by {{ key }}
        ),

        present as (
            select {{ key }} as value, max(input_version) as version
            from {{ this }}
            group by {{ key }}
        )

        select coalesce(expected.value, present.value) as value
        from expected
        full outer join present on expected.value = present.value
        where not expected.version <=> present.version
        order by value
    {% endset %}
    {% set literals = [] %}
    {% for row in run_query(query).rows %}
        {% do literals.append(('' if row[0] is string else 'date') ~ "'" ~ row[0] ~ "'") %}
    {% endfor %}
    {% do return(literals) %}
{% endmacro %}
