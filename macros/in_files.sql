{#
    The condition on `_metadata` that a file is one of these.

        {{ in_files(['file:/events/a.parquet']) }}
            ->  /* files */ _metadata.file_path in ('file:/events/a.parquet') /* end of files */

    Arguments:
        paths: URIs of files, as Spark has them.
#}
{% macro in_files(paths) -%}
    /* files */ {{ "replace(_metadata.file_path, 'file:///', 'file:/') in (" ~ sql_list(paths) ~ ')' if paths else 'false' }} /* end of files */
{%- endmacro %}
