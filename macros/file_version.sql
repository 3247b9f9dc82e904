{#
    A fingerprint of a source file: another path, size or modification time is another version, and
    so is another way to read it.

        {{ file_version(is_json='true') }}
            ->  xxhash64(
                    _metadata.file_path, _metadata.file_size, _metadata.file_modification_time, true
                )

    Arguments:
        is_json: the condition that it is read as JSON; without, how it is read does not count.
#}
{% macro file_version(is_json=none) -%}
    xxhash64(
        _metadata.file_path, _metadata.file_size, _metadata.file_modification_time
        {{- ', ' ~ is_json if is_json }}
    )
{%- endmacro %}
