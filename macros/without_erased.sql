{#
    A line of the log that is not JSON, without the ids of users who are erased: where each of these
    is a word, masked as such, and else the whole line.

        {{ without_erased('line') }}
            ->  {"userId": "36", "page" ... becomes {"userId": "…", "page" ...

    An id that is no word may hold what parts words, and be written in more ways than one. Of it a
    hash alone is known, so no part of a line can be told not to be it.

    Arguments:
        line: an expression.
#}
{% macro without_erased(line) -%}
    {%- set ends = '\\s\\x1b\\x22\\x27\\x60\\\\,;:=(){}\\[\\]<>/|&#!?*' ~ wide_blanks() -%}
    {%- set others = namespace(found=false) -%}
    {%- for row in erased_rows() if not row.get('is_word') -%}
        {%- set others.found = true -%}
    {%- endfor -%}
    if(
        /* erased */ {{ others.found | lower }} /* end of erased */ and {{ line }} is not null,
        '…',
        array_join(
            transform(
                regexp_extract_all({{ line }}, r'[^{{ ends }}]+|[{{ ends }}]+', 0),
                word -> if(
                    {{ is_erased('word') }}
                    or {{ is_erased("regexp_replace(word, r'\\.0*$', '')") }}
                    or {{ is_erased(whole_number('word')) }},
                    '…',
                    word
                )
            ),
            ''
        )
    )
{%- endmacro %}
