{#
    What the registered files are: the condition that a file is JSON, and of each form of Parquet
    (files whose columns have the same types) the relation that reads it and its condition. And the
    condition that anything reads a file at all.

        {{ event_sources().json }}  ->  not lower(right(_metadata.file_path, 8)) rlike ... and ...
        {% for form in event_sources().parquet %} select ... from {{ form.relation }}
            where {{ form.condition }}
        {{ event_sources().any }}  ->  not lower(...) and ... or (...) and _metadata.file_size > 0

    A file is Parquet by its name or because `register_events` was told so. Names of single files
    stand between marks, for they are no part of a definition.
#}
{% macro event_sources() %}
    {% set found = namespace(json='true', parquet=[], any='true') %}
    {% if execute %}
        {% set events = source('raw', 'lines') %}
        {% set named = is_called_parquet() %}
        {% set listed = {} %}
        {% set forms = source('raw', 'file_forms') %}
        {% for row in run_query('select form, file_path from ' ~ forms ~ " where form not in ('known', 'whole')").rows %}
            {% do listed.setdefault(row[0], []).append(row[1]) %}
        {% endfor %}
        {% set all_listed = in_files(listed.values() | sum(start=[])) %}
        {% set found.json = 'not ' ~ named ~ ' and not ' ~ all_listed %}
        {% for row in run_query('show tables in ' ~ events.schema ~ " like 'parquet_*'").rows %}
            {% set relation = api.Relation.create(schema=events.schema, identifier=row[1]) %}
            {% set condition = in_files(listed.get(row[1], [])) %}
            {% if row[1] == 'parquet_0' %}
                {% set condition = condition ~ ' or ' ~ named ~ ' and not ' ~ all_listed %}
            {% endif %}
            {% do found.parquet.append({
                'relation': relation,
                'condition': '(' ~ condition ~ ') and _metadata.file_size > 0',
                'columns': run_query('describe table ' ~ relation).rows,
            }) %}
        {% endfor %}
        {% set found.any = ([found.json] + found.parquet | map(attribute='condition') | list) | join(' or ') %}
    {% endif %}
    {% do return(found) %}
{% endmacro %}
