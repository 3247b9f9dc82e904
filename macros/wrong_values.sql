{#
    What is wrong with the vars, each taken alone, as sentences.

        {{ wrong_values() }}
            ->  ['horizon_days is 0: it must be a whole number of days from 1 to 3660']
#}
{% macro wrong_values() %}
    {% set wanted = {
        'share': 'a number from 0 to 1',
        'share above 0': 'a number above 0, at most 1',
        'share between': 'a number above 0 and below 1',
        'amount': 'a number, at least 0 and below 1e15',
        'amount by level': 'a number, at least 0 and below 1e15, or such as {paid: 200, free: 40}',
        'days': 'a whole number of days from 1 to 3660',
        'count': 'a whole number, at least 1 and below 1e15',
        'list of days': 'a list of whole numbers of days from 1 to 3660',
        'texts': 'a list of at least one text, none of them blank or with a blank at an end',
        'date': 'a date such as 2018-10-01',
        'currency': 'a code of three capital letters such as USD',
    } %}
    {% set wrong = [] %}
    {% for name, kind in kinds_of_vars().items() %}
        {% if not is_of_kind(var(name), kind) %}
            {% do wrong.append(
                name ~ ' is ' ~ (tojson(var(name), var(name) | string) | truncate(80)) ~ ': it must be '
                ~ (wanted[kind] if kind is string else 'one of ' ~ kind | join(', '))
            ) %}
        {% endif %}
    {% endfor %}
    {% do return(wrong) %}
{% endmacro %}
