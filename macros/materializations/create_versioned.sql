{#
    The statement that makes a table whole, with the mark of the definition it was made by.

        {{ create_versioned('5d41') }}
            ->  create or replace table t using delta tblproperties
                ('sparkify.definition' = '5d41') as select ...

    Arguments:
        definition: of definition_hash.
#}
{% macro create_versioned(definition) %}
    {% set properties = {'sparkify.definition': definition} %}
    {% do properties.update(config.get('tblproperties', {})) %}
    create or replace table {{ this }}
    {% if config.get('contract').enforced %}{{ get_assert_columns_equivalent(compiled_code) }}{% endif %}
    using delta
    {{ partition_cols(label='partitioned by') }}
    {{ comment_clause() }}
    tblproperties (
        {%- for name, value in properties.items() -%}
        '{{ name }}' = '{{ value }}'{{ ', ' if not loop.last }}
        {%- endfor -%}
    )
    as
    {{ get_select_subquery(compiled_code) if config.get('contract').enforced else compiled_code }}
{% endmacro %}
