{#
    A hash of what a table is made by: the compiled model, its contract and layout, the user key if
    it has one, and what the tables and views it reads are made by.

        {{ definition_hash() }}  ->  5d41402abc4b2a76b9719d911017c592

    What it reads has to have a fingerprint, or to be a view of such: anything else could change
    without a trace. A view counts as the catalogue has it, for that is what is read.
#}
{% macro definition_hash() %}
    {% set parts = [
        code_tokens(model['compiled_code']),
        model['contract']['checksum'],
        config.get('replace_by'),
        config.get('partition_by'),
        config.get('tblproperties'),
        user_key_digest() if user_key() in model['compiled_code'] else '',
    ] %}
    {% set queue, seen = model['depends_on']['nodes'] | list, [] %}
    {% for id in queue if id.startswith('model.') and id not in seen %}
        {% do seen.append(id) %}
        {% set parent = graph['nodes'][id] %}
        {% set table = api.Relation.create(schema=parent.schema, identifier=parent.alias) %}
        {% if parent.config.materialized == 'replace_changed' %}
            {% do parts.append(
                run_query('show tblproperties ' ~ table ~ " ('sparkify.definition')").rows[0][1]
            ) %}
        {% elif parent.config.materialized == 'view' %}
            {% for row in run_query('describe extended ' ~ table).rows if row[0] == 'View Text' %}
                {% do parts.append(code_tokens(row[1])) %}
            {% endfor %}
            {% do queue.extend(parent.depends_on.nodes) %}
        {% elif parent.config.materialized == 'ephemeral' %}
            {% do queue.extend(parent.depends_on.nodes) %}
        {% else %}
            {% do exceptions.raise_compiler_error(
                model.name ~ ' reads ' ~ parent.name ~ ', a ' ~ parent.config.materialized
                ~ ' without a fingerprint: make it a view, or replace_changed'
            ) %}
        {% endif %}
    {% endfor %}
    {% do return(local_md5(parts | join('\n'))) %}
{% endmacro %}
