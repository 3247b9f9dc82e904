{#
    A field of an event as text. What a row does not have is taken from its folder, where that is
    named for it.

        {{ event_field('level') }}
            ->  the field `level`, or free in /events/level=free/2018.json

    Arguments:
        field: by the name the log gives it.
#}
{% macro event_field(field) -%}
    coalesce(
            `{{ field }}`,
            if(
                contains(source_file, '=')
                and contains(lower(source_file), '/{{ field | lower }}='),
                nullif(
                    try_url_decode(replace(try_url_decode(replace(
                        regexp_extract(source_file, '(?i)/{{ field }}=([^/]*)/', 1), '+', '%2B'
                    )), '+', '%2B')),
                    '__HIVE_DEFAULT_PARTITION__'
                ),
                null
            )
        )
{%- endmacro %}
