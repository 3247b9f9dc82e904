{#
    What tells the values apart that cannot be, by the field that `reasons_of_nulls` judges: the
    number, however it is written, or the text. Of the state that is the location, which stays.

        {% for field, text in texts_of_nulls().items() %}  ->  status: coalesce(cast(...), `status`), ...
#}
{% macro texts_of_nulls() %}
    {% set texts = {
        'level': 'lower(level)',
        'method': 'upper(method)',
        'gender': 'upper(gender)',
        'artist': 'artist',
        'song': 'song',
    } %}
    {% set numbers = {
        'item_in_session': '`itemInSession`',
        'status': '`status`',
        'registered_at': '`registration`',
        'song_length_s': '`length`',
    } %}
    {% for field, text in numbers.items() %}
        {% do texts.update({field: 'coalesce(cast(' ~ number_of(text) ~ ' as string), ' ~ text ~ ')'}) %}
    {% endfor %}
    {% do return(texts) %}
{% endmacro %}
