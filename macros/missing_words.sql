{#
    What exporters write as text where a value is missing: as they do, in capitals, and with one first.

        {% do missing_words() %}  ->  ['\\N', 'NaN', 'NaT', 'nan', 'NAN', 'Nan', 'nat', ...]
#}
{% macro missing_words() %}
    {% set found = ['\\N', 'NaN', 'NaT'] %}
    {% for word in ['nan', 'nat', 'na', 'n/a', '#n/a', '<na>', 'none', 'null', 'undefined'] %}
        {% do found.extend([word, word | upper, word | capitalize] | unique(case_sensitive=true) | list) %}
    {% endfor %}
    {% do return(found) %}
{% endmacro %}
