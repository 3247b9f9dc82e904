{#
    Whether a value is of a kind that `kinds_of_vars` names.

        {{ is_of_kind(14, 'days') }}  ->  True
        {{ is_of_kind('14', 'days') }}  ->  False

    Arguments:
        value: of a var.
        kind: a kind, or a list of the values allowed.
#}
{% macro is_of_kind(value, kind) %}
    {% set is_number = value is number and value is not boolean and (value | string) != 'nan' %}
    {% set is_list = value is iterable and value is not string and value is not mapping %}
    {% set found = namespace(is_right=false) %}
    {% if kind is not string %}
        {% set found.is_right = value is string and value in kind %}
    {% elif kind == 'share' %}
        {% set found.is_right = is_number and 0 <= value <= 1 %}
    {% elif kind == 'share above 0' %}
        {% set found.is_right = is_number and 0 < value <= 1 %}
    {% elif kind == 'share between' %}
        {% set found.is_right = is_number and 0 < value < 1 %}
    {% elif kind == 'amount' %}
        {% set found.is_right = is_number and 0 <= value < 1e15 %}
    {% elif kind == 'amount by level' %}
        {% set found.is_right = is_of_kind(value, 'amount') or value is mapping
            and value.keys() | sort == ['free', 'paid']
            and is_of_kind(value['paid'], 'amount') and is_of_kind(value['free'], 'amount') %}
    {% elif kind == 'days' %}
        {% set found.is_right = value is integer and 1 <= value <= 3660 %}
    {% elif kind == 'count' %}
        {% set found.is_right = value is integer and 1 <= value < 1e15 %}
    {% elif kind == 'currency' %}
        {% set found.is_right = modules.re.match('[A-Z]{3}\\Z', value | string) is not none %}
    {% elif kind == 'date' %}
        {% set parts = modules.re.findall('^([1-9][0-9]{3})-([0-9]{2})-([0-9]{2})$', value | string) %}
        {% if parts %}
            {% set year, month, day = parts[0] | map('int') %}
            {% set is_leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) %}
            {% set lengths = [31, 29 if is_leap else 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] %}
            {% set found.is_right = 1 <= month <= 12 and 1 <= day <= lengths[month - 1] %}
        {% endif %}
    {% elif is_list and value | list %}
        {% set found.is_right = true %}
        {% for each in value %}
            {% if kind == 'texts' and (each is not string or not each | trim
                    or each != each.strip(' \t\r\n\u0000\u000b\u000c\u0085\u00a0\u00ad\u1680\u180e\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u200b\u200c\u200d\u200e\u200f\u2028\u2029\u202f\u205f\u2060\u3000\ufeff'))
                or kind == 'list of days' and not is_of_kind(each, 'days') %}
                {% set found.is_right = false %}
            {% endif %}
        {% endfor %}
    {% endif %}
    {% do return(found.is_right) %}
{% endmacro %}
