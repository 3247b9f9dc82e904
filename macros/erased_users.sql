{#
    The table of users whom `sparkify erase` erased. By its name, for a model that calls for it as a
    source could have no unit tests without it.

        {{ erased_users() }}  ->  sparkify.erased_users
#}
{% macro erased_users() %}
    {% do return(api.Relation.create(schema=target.schema, identifier='erased_users')) %}
{% endmacro %}
