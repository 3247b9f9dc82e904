{#
    A Delta table of which a run rewrites only what changed, each part of it in one commit.

        config(materialized='replace_changed', replace_by='event_date', versions='some_model')
            ->  insert into table t replace where event_date in (date'2018-10-01', ...)
                select ... from (the model) where event_date in (date'2018-10-01', ...)

    A model under it says what the whole table is; there is no second, incremental version of it to
    keep in step. Its column `input_version` is a fingerprint of all that the rows of one value of
    `replace_by` are computed from. Fingerprints that should be are compared with those in the
    table, so what a run has to do follows from the tables alone, whatever an earlier one left. A
    change of the model itself, of what it is made from, or of a var or macro they use makes the
    table anew.

    Config:
        replace_by: the column that says what is replaced together: a file, a day.
        versions: a model with a row per value of replace_by and its input_version; without it
            they are asked of the model itself, which is fine where that is cheap.
        versions_where: which of its rows the table has values of.
        partition_by, tblproperties: as in dbt-spark.
#}
{% materialization replace_changed, adapter='spark' %}
    {% set definition = definition_hash() %}
    {% set existing = load_relation(this) %}
    {% set changed = none %}
    {% if existing is not none and existing.is_delta and not should_full_refresh() %}
        {% set property = "show tblproperties " ~ this ~ " ('sparkify.definition')" %}
        {% if run_query(property).rows[0][1] == definition %}
            {% set changed = changed_values() %}
        {% endif %}
    {% elif existing is not none and not existing.is_delta %}
        {% do adapter.drop_relation(existing) %}
    {% endif %}

    {{ run_hooks(pre_hooks) }}
    {% if changed is none %}
        {% call statement('main') %}
            {{ create_versioned(definition) }}
        {% endcall %}
        {% do persist_constraints(this, model) %}
    {% else %}
        {# A predicate has to stay short; a run that ends between two leaves the rest to the next. #}
        {% for literals in changed.literals | batch(500) %}
            {% call statement('main') %}
                {{ replace_values(literals, changed.is_any_present) }}
            {% endcall %}
        {% endfor %}
    {% endif %}
    {% if changed is not none and not changed.literals %}
        {% call noop_statement('main', 'UP TO DATE') %}
            -- Every part is up to date.
        {% endcall %}
    {% endif %}
    {{ run_hooks(post_hooks) }}
    {{ return({'relations': [this]}) }}
{% endmaterialization %}
