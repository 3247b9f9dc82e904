{#
    The text of a field; null where it is blank or says that there is no value.

        {{ unless_missing('level', '`level`') }}
            ->  if(`level` in ('', '"NaN"', 'NaN', 'None', ...), null, `level`)

    The parser puts what JSON has as NaN or Infinity, without quotes, into quotes. An artist or a song may be
    called NaN or None. What tells users, sessions and pages apart is one value: an object, a list,
    true, false or Infinity is none; and a number as floats are written is not exact any more from 2^53 on,
    nor from 1E+11 on with six digits at most, as spreadsheets show it.

    Arguments:
        field: the name of a field of an event.
        text: what the log has of it, as an expression.
#}
{% macro unless_missing(field, text) -%}
    {%- set missing = ['', '"NaN"'] + ([] if field in ['artist', 'song'] else missing_words()) -%}
    {#- As JSON, Python and JavaScript write what is no name. -#}
    {%- set no_names = ['true', 'false', 'infinity', '-infinity', '+infinity', 'inf', '-inf', '[object object]'] -%}
    {%- if field in ['userId', 'sessionId', 'page'] -%}
    if(
            {{ text }} in ({{ sql_list(missing + ['"Infinity"', '"-Infinity"']) }})
            or lower({{ text }}) in ({{ sql_list(no_names) }})
            or (
                left({{ text }}, 1) in ('{', '[')
                and {{ text }} rlike '(?s)^([{]("[^"]*":.*)?[}]|\\[((["{\\[0-9-]|true|false|null).*)?\\])$'
            )
            or (
                (contains({{ text }}, '.') or contains({{ text }}, '+'))
                and {{ text }} rlike '^[+-]?[0-9]+(\\.[0-9]*[eE][+-]?|[eE]\\+)[0-9]+$'
                and abs(try_cast({{ text }} as double))
                >= if({{ text }} rlike '{{ rounded_number('E') }}', 1e11, 9007199254740992)
            ),
            null,
            {{ text }}
        )
    {%- else -%}
    if({{ text }} in ({{ sql_list(missing) }}), null, {{ text }})
    {%- endif -%}
{%- endmacro %}
