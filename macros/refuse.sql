{#
    End a run that has not begun to build, with a sentence that says why.

        {% do refuse('There are no events: ...') %}

    Arguments:
        sentence: what is wrong and what to do.
#}
{% macro refuse(sentence) %}
    {% do end_run(own=true) %}
    {% do exceptions.raise_compiler_error(sentence) %}
{% endmacro %}
