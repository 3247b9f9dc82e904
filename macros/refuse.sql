{#
    End a run that has not begun to build, with a sentence that says why.

        {% do refuse('There are no events: ...') %}
#}
{% macro refuse(sentence) %}
    {% do end_run(own=true) %}
    {% do exceptions.raise_compiler_error(sentence) %}
{% endmacro %}
