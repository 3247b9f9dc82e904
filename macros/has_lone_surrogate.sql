{#
    Whether a line of JSON writes half a letter: one of the two `\u` escapes that make up a letter
    such as an emoji, without the other. Spark would read a question mark, the same for all of them.

        {{ has_lone_surrogate('line') }}  ->  true of "\ud83d", false of "\ud83d\ude00" and "\\ud83d"

    The groups are possessive, so that a line of any length is matched without recursion.

    Arguments:
        line: an expression.
#}
{% macro has_lone_surrogate(line) -%}
    (
        (contains({{ line }}, '\\ud') or contains({{ line }}, '\\uD'))
        and {{ line }} rlike concat(
            '(?s)^(?:[^\\\\]++|\\\\[^u]|\\\\u(?![dD][89a-fA-F]).{4}',
            '|\\\\u[dD][89abAB]..\\\\u[dD][c-fC-F]..)*+\\\\u[dD][89a-fA-F]'
        )
    )
{%- endmacro %}
