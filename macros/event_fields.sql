{#
    The fields of an event that are read, by the names the log gives them. Names of people are not
    among them.

        {% for field in event_fields() %}  ->  ts, userId, sessionId, ...
#}
{% macro event_fields() %}
    {% do return([
        'ts', 'userId', 'sessionId', 'page', 'auth', 'method', 'status', 'level', 'itemInSession',
        'location', 'userAgent', 'registration', 'gender', 'artist', 'song', 'length',
    ]) %}
{% endmacro %}
