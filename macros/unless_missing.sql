{#
    The text of a field; null where it is blank or says that there is no value.

        {{ unless_missing('level', '`level`') }}
            ->  if(`level` in ('', '"NaN"', 'NaN', 'None', ...), null, `level`)

    The parser puts what JSON has as NaN, without quotes, into quotes. An artist or a song may be
    called NaN or None.

    Arguments:
        field: the name of a field of an event.
        text: what the log has of it, as an expression.
#}
{% macro unless_missing(field, text) -%}
    {%- set missing = ['', '"NaN"'] + ([] if field in ['artist', 'song'] else missing_words()) -%}
    if({{ text }} in ({{ sql_list(missing) }}), null, {{ text }})
{%- endmacro %}
