{#
    A line of the log that is not JSON, with what stands under the keys of names masked; with a
    SPARKIFY_USER_KEY the ids of users too, and always those of users who are erased.

        {{ without_people('line') }}
            ->  {"firstName": "Colin", "page" ... becomes {"firstName": …", "page" ...

    Names are kept nowhere, so not in the lines that are rejected either. The value goes to the
    quote of its own kind that a bracket, a comma with another quote, or nothing follows: past
    quotes that are escaped in it, and past those that should have been. Without quotes it goes to
    the next comma or bracket, and where it begins with a bracket to the end of the line: rather too
    much is masked than too little. So is what a line begins with that begins in the midst of a key
    or a value, as the second half of a line does. What is not UTF-8 is made so, and loses the zeros
    between the letters of UTF-16.

    Arguments:
        line: a line of the log, as an expression.
#}
{% macro without_people(line) -%}
    {#- \x22 and \x27 are the quotes. What repeats is possessive, so that no line is too long. -#}
    {%- set fields = '(?:first|last)[_\\s-]?name' ~ ('|user[_\\s-]?id' if user_key_digest() else '') -%}
    {%- set key = '(?:' ~ fields ~ ')[\\\\\\x22\\x27]*\\s*(?:[:=>]+|,)?\\s*' -%}
    {%- set end = '\\s*(?:[}\\]]|,\\s*(?:[\\x22\\x27\\\\]|$)|$)' -%}
    {%- set value = [
        '(\\\\*)([\\x22\\x27])(?:[^\\x22\\x27\\\\]++|(?!\\2\\3' ~ end ~ ')(?:\\\\++[\\x22\\x27]?|[\\x22\\x27]))*+',
        '[{\\[][\\s\\S]*',
        '[^,;}\\]<]*',
    ] | join('|') -%}
    {%- set half = '^(?:[^{\\[\\x22]|\\x22\\s*:)'
        ~ '(?:[^\\x22\\\\{\\[]++|(?!\\x22' ~ end ~ ')(?:\\\\++\\x22?|\\x22))*+(?=\\x22' ~ end ~ ')'
        ~ '|^\\x22[^\\x22]*(?=\\x22\\s*,)' -%}
    {%- set masked -%}
        regexp_replace(
            replace(make_valid_utf8({{ line }}), '\0', ''),
            r'(?i){{ half }}|({{ key }})(?:{{ value }})',
            '$1…'
        )
    {%- endset -%}
    {{ without_erased(masked) }}
{%- endmacro %}
