{#
    The model that a test is of, as a node of the graph; of a test of a source alone, none.

        {{ tested_model(result.node).name }}  ->  fct_user_days

    Arguments:
        test: the node of a test.
#}
{% macro tested_model(test) %}
    {% set ids = test.depends_on.nodes | select('in', graph.nodes) | list %}
    {% set id = test.attached_node or test.tested_node_unique_id or (ids | first) %}
    {% do return(graph.nodes.get(id)) %}
{% endmacro %}
