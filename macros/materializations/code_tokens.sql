{#
    SQL without what does not matter: comments, blanks, the names of single files, who is erased,
    and how a target refers to the SPARKIFY_USER_KEY.

        {{ code_tokens("select  'a  b' -- why") }}  ->  select 'a  b'

    Arguments:
        code: SQL, as text.
#}
{% macro code_tokens(code) %}
    {% set code = modules.re.sub('/\\* (files|erased) \\*/[\\s\\S]*?/\\* end of \\1 \\*/', '', code) %}
    {% set code = code | replace(user_key(), 'user key') %}
    {% set tokens = modules.re.findall(
        "--[^\n]*|/\\*[\\s\\S]*?\\*/|'(?:[^'\\\\]|\\\\[\\s\\S])*'|`[^`]*`|\\w+|[^\\w\\s]", code
    ) %}
    {% set kept = [] %}
    {% for token in tokens if not token.startswith(('--', '/*')) %}
        {% do kept.append(token) %}
    {% endfor %}
    {% do return(kept | join(' ')) %}
{% endmacro %}
