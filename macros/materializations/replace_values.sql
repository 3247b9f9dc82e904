{#
    The statement that puts in what the model says of some values of replace_by, and takes out what
    the table had of them.

        {{ replace_values(["date'2018-10-01'"], is_any_present=true) }}
            ->  insert into table t replace where event_date in (date'2018-10-01')
                select ... from (the model) where event_date in (date'2018-10-01')

    Arguments:
        literals: values of replace_by, as SQL, in order.
        is_any_present: whether the table may have rows of them; what is new alone is just added.
#}
{% macro replace_values(literals, is_any_present) %}
    {% set condition = config.require('replace_by') ~ ' in (' ~ literals | join(', ') ~ ')' %}
    {% set columns = adapter.get_columns_in_relation(this) | map(attribute='quoted') | join(', ') %}
    {% set code = modules.re.sub(
        '/\\* within (\\w+) (-?\\d+) (-?\\d+) \\*/ true /\\* end of within \\*/',
        '\\1 between date_add(' ~ literals | first ~ ', \\2) and date_add(' ~ literals | last ~ ', \\3)',
        model['compiled_code']
    ) %}
    insert into table {{ this }}
    {{ 'replace where ' ~ condition if is_any_present else '(' ~ columns ~ ')' }}
    select {{ columns }}
    from (
        {{ code }}
    )
    where {{ condition }}
{% endmacro %}
