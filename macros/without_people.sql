{#
    A line of the log that is not JSON, with the names of people masked; with a SPARKIFY_USER_KEY
    the ids of users too, and always words that are the id of a user who is erased.

        {{ without_people('line') }}
            ->  {"firstName": "Colin", "page" ... becomes {"firstName": …", "page" ...

    Names are kept nowhere, so not in the lines that are rejected either. The value goes to its own
    closing quote, past quotes that are escaped in it; without quotes to the next comma or bracket:
    rather too much is masked than too little. So is the end of a text that a line begins with, as
    the second half of a line does. What is not UTF-8 is made so, and loses the zeros between the
    letters of UTF-16.

    Arguments:
        line: a line of the log, as an expression.
#}
{% macro without_people(line) -%}
    {#- \x22 and \x27 are the quotes; each quote that is escaped has more backslashes than the first. -#}
    {%- set fields = '(?:first|last)[_\\s-]?name' ~ ('|user[_\\s-]?id' if user_key_digest() else '') -%}
    {%- set key = '(?:' ~ fields ~ ')[\\\\\\x22\\x27]*\\s*[:=>,]?\\s*' -%}
    {%- set value = [
        '\\\\+\\x22[^\\x22]*(?:(?<=\\\\\\\\\\\\)\\x22[^\\x22]*){0,99}',
        '\\x22[^\\x22]*(?:(?<=\\\\)\\x22[^\\x22]*){0,99}',
        '\\x27[^\\x27]*(?:(?<=\\\\)\\x27[^\\x27]*){0,99}',
        '[{\\[][^}\\]]*',
        '[^,;}\\]<]*',
    ] | join('|') -%}
    {%- set end_of_text = '^[^{\\[\\x22]+(?=\\x22\\s*[,}])' -%}
    {%- set word = '[^\\s\\x22\\x27\\\\,;:=(){}\\[\\]<>/|&]+' -%}
    array_join(
        transform(
            regexp_extract_all(
                regexp_replace(
                    replace(make_valid_utf8({{ line }}), '\0', ''),
                    r'(?i){{ end_of_text }}|({{ key }})(?:{{ value }})',
                    '$1…'
                ),
                r'{{ word }}|{{ word | replace("[^", "[", 1) }}',
                0
            ),
            word -> if({{ is_erased("regexp_replace(word, r'\\.0*$', '')") }}, '…', word)
        ),
        ''
    )
{%- endmacro %}
