{#
    A line of the log that is not JSON, with what stands under the keys of names masked; with a
    SPARKIFY_USER_KEY the ids of users too, and always those of users who are erased.

        {{ without_people('line') }}
            ->  {"firstName": "Colin", "page" ... becomes {"firstName": …", "page" ...

    Names are kept nowhere, so not in the lines that are rejected either. A text or a number that
    another key of an event follows, or the end of the object and of the line, is a value. In
    whatever else stands behind a key of names nobody can tell where the name ends, so it is masked
    to the end of the line. Masked is, too, what a line begins with that begins in the midst of a key
    or a value, as the second half of a line does. What is not UTF-8 is made so, and loses the zeros
    between the letters of UTF-16.

    Arguments:
        line: a line of the log, as an expression.
#}
{% macro without_people(line) -%}
    {#- \x22 and \x27 are the quotes. What repeats is possessive, so that no line is too long. -#}
    {%- set known = (event_fields() + ['firstName', 'lastName']) | join('|') -%}
    {%- set key = '(?:first|last)[\\s_.-]{0,3}name' ~ ('|user[\\s_.-]{0,3}id' if user_key_digest() else '') -%}
    {%- set next = '\\s*(?:,\\s*\\x22(?:' ~ known ~ ')\\x22\\s*:|[}]\\s*$)' -%}
    {%- set value = '\\x22[^\\x22\\\\]*+(?=\\x22' ~ next ~ ')|[^\\s\\x22\\x27,{}\\[\\]]++(?=' ~ next ~ ')' -%}
    {%- set told = '((?:' ~ key ~ ')\\x22\\s*:\\s*)(?:' ~ value ~ ')|(' ~ key ~ ')[\\s\\S]*' -%}
    {%- set end = '\\s*(?:[}\\]]|,\\s*(?:[\\x22\\x27\\\\]|$)|$)' -%}
    {%- set half = [
        '^(?:[^{\\[\\x22]|\\x22\\s*:)[^{]*?(?=[\\x22\\x27](?:' ~ known ~ ')(?:[\\x22\\x27]\\s*:|…))',
        '^(?:[^{\\[\\x22]|\\x22\\s*:)'
        ~ '(?:[^\\x22\\\\{\\[]++|(?!\\x22' ~ end ~ ')(?:\\\\++\\x22?|\\x22))*+(?=\\x22' ~ end ~ ')',
        '^\\x22[^\\x22]*(?=\\x22\\s*,)',
    ] | join('|') -%}
    {%- set masked -%}
        regexp_replace(
            regexp_replace(
                replace(make_valid_utf8({{ line }}), '\0', ''), r'(?iu){{ told }}', '$1$2…'
            ),
            r'(?iu){{ half }}',
            '…'
        )
    {%- endset -%}
    {{ without_erased(masked) }}
{%- endmacro %}
