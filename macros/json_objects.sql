{#
    The objects of a line of JSON, as an array; null where it is anything else.

        {{ json_objects('text', 'struct<`ts`: string>') }}
            ->  from_json(concat('[', text, ']'), 'array<struct<`ts`: string>>', map(...))

    Spark's parser reads the first value of a text and ignores the rest; within brackets it has to
    read all of it. Texts stand between double quotes, as JSON has them.

    Arguments:
        text: a line, as an expression.
        type: of one object.
#}
{% macro json_objects(text, type) -%}
    from_json(concat('[', {{ text }}, ']'), 'array<{{ type }}>', map('allowSingleQuotes', 'false'))
{%- endmacro %}
