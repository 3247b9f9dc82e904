{#
    The fields of an accepted event whose value cannot be, each with the condition and the reason:
    the one list of these rules. Such a value becomes null and is counted; the event stays.

        {% for field, rules in reasons_of_nulls().items() %}
            ->  level: {unknown_value: level_text not in ('free', 'paid')}, ...

    Conditions see the texts of the log under its own names, and what base_sparkify__rows made of
    them; the first that holds is the reason. A value that is missing has none.
#}
{% macro reasons_of_nulls() %}
    {% set missing = sql_list(missing_words()) %}
    {% do return({
        'item_in_session': {
            'not_a_whole_number': 'item_text is not null and item_number is null',
            'out_of_range': 'item_number not between 0 and 2147483647',
        },
        'status': {
            'not_a_whole_number': 'status_text is not null and status_number is null',
            'out_of_range': 'status_number not between 100 and 599',
        },
        'level': {'unknown_value': "level not in ('free', 'paid') and lower(level) not in ('free', 'paid')"},
        'method': {'unknown_value': "method not in ('GET', 'PUT') and upper(method) not in ('GET', 'PUT')"},
        'gender': {'unknown_value': "gender not in ('F', 'M') and upper(gender) not in ('F', 'M')"},
        'registered_at': {'invalid_time': 'registration is not null and registered_at is null'},
        'state': {'unknown_value': 'state_code not in (' ~ sql_list(us_states()) ~ ')'},
        'artist': {'not_a_song': "page != 'NextSong' and artist not in (" ~ missing ~ ')'},
        'song': {'not_a_song': "page != 'NextSong' and song not in (" ~ missing ~ ')'},
        'song_length_s': {
            'not_a_song': "length is not null and page != 'NextSong'",
            'not_a_number': 'length is not null and length_s is null',
            'out_of_range': 'not (length_s > 0 and length_s <= 14400)',
        },
    }) %}
{% endmacro %}
