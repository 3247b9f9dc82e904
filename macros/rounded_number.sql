{#
    A pattern of numbers that a spreadsheet or a program has rounded to six digits at most.

        {{ rounded_number() }}  ->  1.53835E+12 and 1.53835e+12 are like it; 1538352117000, 1.538352117E12 are not

    Arguments:
        exponent: the letters that may stand before the exponent; E alone is how spreadsheets write.
#}
{% macro rounded_number(exponent='eE') -%}
    ^[+-]?[0-9](\\.[0-9]{0,5})?[{{ exponent }}]\\+[0-9]+$
{%- endmacro %}
