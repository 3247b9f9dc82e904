{#
    A hash of what a table is made by: the compiled model, its contract, and what the tables it reads
    are made by.

        {{ definition_hash() }}  ->  5d41402abc4b2a76b9719d911017c592

    A table that replaces what changed knows its own; one that is made anew by every run counts
    with its code, and with what that reads.
#}
{% macro definition_hash() %}
    {% set parts = [model['compiled_code'], model['contract']['checksum']] %}
    {% set queue, seen = model['depends_on']['nodes'] | list, [] %}
    {% for id in queue if id.startswith('model.') and id not in seen %}
        {% do seen.append(id) %}
        {% set parent = graph['nodes'][id] %}
        {% if parent.config.materialized == 'replace_changed' %}
            {% set table = api.Relation.create(schema=parent.schema, identifier=parent.alias) %}
            {% do parts.append(
                run_query('show tblproperties ' ~ table ~ " ('sparkify.definition')").rows[0][1]
            ) %}
        {% else %}
            {% do parts.append(parent.checksum.checksum) %}
            {% do queue.extend(parent.depends_on.nodes) %}
        {% endif %}
    {% endfor %}
    {% do return(local_md5(parts | join('\n'))) %}
{% endmacro %}
