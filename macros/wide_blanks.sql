{#
    What spreadsheets, web pages and fields of a fixed width leave around a text: blanks of any width or
    none, that do not break, marks of the order of bytes, NUL. For a text or a set of a regular expression.

        {{ wide_blanks() }}  ->  \u0000\u000b\u000c\u0085\u00a0 ...
#}
{% macro wide_blanks() -%}
    {%- set codes = ['0000', '000b', '000c', '0085', '00a0', '00ad', '1680', '180e'] -%}
    {%- for last in '0123456789abcdef' -%}
        {%- do codes.append('200' ~ last) -%}
    {%- endfor -%}
    {%- for code in codes + ['2028', '2029', '202f', '205f', '2060', '3000', 'feff'] -%}
        \u{{ code }}
    {%- endfor -%}
{%- endmacro %}
