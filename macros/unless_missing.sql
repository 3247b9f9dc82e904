{#
    The text of a field; null where it is blank or says that there is no value.

        {{ unless_missing('level') }}  ->  if(`level` in ('', '"NaN"', 'NaN'), null, `level`)

    The parser puts what JSON has as NaN, without quotes, into quotes. An artist or a song may be
    called NaN.

    Arguments:
        field: the name of a field of an event.
#}
{% macro unless_missing(field) -%}
    {%- set missing = ['', '"NaN"'] + ([] if field in ['artist', 'song'] else ['NaN']) -%}
    if(`{{ field }}` in ({{ sql_list(missing) }}), null, `{{ field }}`)
{%- endmacro %}
