{#
    A field of an event as text. What a row does not have, or has as a word for nothing, is taken
    from its folder, where that is named for it. The folder's name is what Hive writes, with escapes
    for %, or a name as people write it. `keyed_file` is the file, null where no folder of it is named
    for any field.

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
    {#- A letter that is not UTF-8 is the same for all of them when decoded. -#}
    {%- set twice_decoded = 'try_url_decode(replace(' ~ decoded ~ ", '+', '%2B'))" -%}
    if(
            keyed_file is not null and contains(lower(keyed_file), '/{{ field | lower }}='),
            coalesce(
                {{ unless_missing(field, trimmed('`' ~ field ~ '`')) }},
                nullif(
                    coalesce(
                        if(contains({{ twice_decoded }}, '\uFFFD'), null, {{ twice_decoded }}),
                        {{ decoded }}
                    ),
                    '__HIVE_DEFAULT_PARTITION__'
                )
            ),
            `{{ field }}`
        )
{%- endmacro %}
