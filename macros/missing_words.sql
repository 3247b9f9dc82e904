{#
    What exporters write as text where a value is missing.

        {% do missing_words() %}  ->  ['NaN', 'nan', 'None', ...]
#}
{% macro missing_words() %}
    {% do return([
        'NaN', 'nan', 'None', 'none', 'null', 'NULL', 'Null', '<NA>', 'NaT', 'N/A', 'n/a', 'undefined',
        '\\N',
    ]) %}
{% endmacro %}
