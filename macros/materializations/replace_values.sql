{#
    The statement that takes out the rows of these values and puts in what the model says of them.

        {{ replace_values(["date'2018-10-01'"]) }}
            ->  insert into table t replace where event_date in (date'2018-10-01')
                select ... from (the model) where event_date in (date'2018-10-01')

    Arguments:
        literals: values of replace_by, as SQL.
#}
{% macro replace_values(literals) %}
    {% set condition = config.require('replace_by') ~ ' in (' ~ literals | join(', ') ~ ')' %}
    insert into table {{ this }} replace where {{ condition }}
    select {{ adapter.get_columns_in_relation(this) | map(attribute='quoted') | join(', ') }}
    from (
        {{ model['compiled_code'] }}
    )
    where {{ condition }}
{% endmacro %}
