{#
    A field of an event as text. What a row does not have, or has as a word for nothing, is taken
    from its folder, where that is named for it. The folder's name is what Hive writes, with escapes
    for %, or a name as people write it.

        {{ event_field('level') }}
            ->  the field `level`, or free in /events/level=free/2018.json

    Arguments:
        field: by the name the log gives it.
#}
{% macro event_field(field) -%}
    {%- set decoded -%}
        try_url_decode(replace(
            regexp_extract(source_file, '(?i)/{{ field }}=([^/]*)/', 1), '+', '%2B'
        ))
    {%- endset -%}
    if(
            contains(source_file, '=') and contains(lower(source_file), '/{{ field | lower }}='),
            coalesce(
                {{ unless_missing(field, trimmed('`' ~ field ~ '`')) }},
                nullif(
                    coalesce(try_url_decode(replace({{ decoded }}, '+', '%2B')), {{ decoded }}),
                    '__HIVE_DEFAULT_PARTITION__'
                )
            ),
            `{{ field }}`
        )
{%- endmacro %}
