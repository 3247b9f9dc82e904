{#
    A line of the log that is not JSON, with the ids of users who are erased masked.

        {{ without_erased('line') }}  ->  {"userId": "36", "page" ... becomes {"userId": "…", "page" ...

    An id may hold what parts words. So it is looked for as what stands between two quotes, with
    what is escaped in it; as what stands between blanks and commas; and as a word.

    Arguments:
        line: an expression.
#}
{% macro without_erased(line) -%}
    {%- set found = namespace(text=line) -%}
    {%- set unescaped = "coalesce(get_json_object(concat('[\"', piece, '\"]'), '$[0]'), piece)" -%}
    {%- for other, piece in [
        ('[\\x22\\\\]', '(?:[^\\x22\\\\]++|\\\\.)++'),
        ('[\\s\\x22\\x27\\\\,;(){}\\[\\]<>]+', '[^\\s\\x22\\x27\\\\,;(){}\\[\\]<>]+'),
        ('[\\s\\x22\\x27\\\\,;:=(){}\\[\\]<>/|&]+', '[^\\s\\x22\\x27\\\\,;:=(){}\\[\\]<>/|&]+'),
    ] -%}
        {%- set id = unescaped if loop.first else "regexp_replace(piece, r'\\.0*$', '')" -%}
        {%- set found.text -%}
            array_join(
                transform(
                    regexp_extract_all({{ found.text }}, r'{{ piece }}|{{ other }}', 0),
                    piece -> if({{ is_erased(id) }}, '…', piece)
                ),
                ''
            )
        {%- endset -%}
    {%- endfor -%}
    {{ found.text }}
{%- endmacro %}
