{#
    A var that is of its kind; of another kind, what stands in for it until check_vars refuses the
    run. Models are read before any check is made, and a list that is none would end there.

        {{ valid_var('feature_windows', otherwise=[1, 2]) }}  ->  [7, 28]

    Arguments:
        name: of the var.
        otherwise: a value of the right kind.
#}
{% macro valid_var(name, otherwise) %}
    {% do return(var(name) if is_of_kind(var(name), kinds_of_vars()[name]) else otherwise) %}
{% endmacro %}
