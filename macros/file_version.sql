{#
    A fingerprint of a source file: another path, size or modification time is another version.

        {{ file_version() }}
            ->  xxhash64(_metadata.file_path, _metadata.file_size, _metadata.file_modification_time)
#}
{% macro file_version() -%}
    xxhash64(_metadata.file_path, _metadata.file_size, _metadata.file_modification_time)
{%- endmacro %}
