-- One row per row of the source, typed, with the reason why it is rejected; null is accepted.
-- Of a user who is left out there is a mark alone, so that all that was read can be counted.
-- depends_on: {{ ref('base_sparkify__line_counts') }}
{%- set anonymous_auths = valid_var('anonymous_auths', otherwise=['none']) %}
{#- Of these a blank too many would make another user, or hide a churn. #}
{%- set keys = ['userId', 'sessionId', 'page', 'auth', 'level'] %}
with raw_rows as (
    select
        *,
        -- One look at the path a row, for folders that are named for a field are rare.
        if(
            contains(source_file, '=')
            and source_file rlike '(?i)/({{ event_fields() | join("|") }})=',
            source_file,
            null
        ) as keyed_file
    from {{ ref('base_sparkify__raw_rows') }}
),

texts as (
    select
        {%- for field in event_fields() %}
        {{ event_field(field) }} as `{{ field }}`,
        {%- endfor %}
        source_file,
        input_version,
        is_line_start,
        malformed_line
    from raw_rows
),

fields as (
    select
        {%- for field in event_fields() %}
        {{ unless_missing(field, trimmed('`' ~ field ~ '`', field in keys)) }} as `{{ field }}`,
        {%- endfor %}
        source_file,
        input_version,
        is_line_start,
        malformed_line
    from texts
),

named as (
    select
        *,
        {{ whole_number('userId') | indent(4) }} as log_user_id
    from fields
),

recognized as (
    select
        *,
        {{ is_erased('log_user_id') }} as is_erased
    from named
),

-- Of a user who is erased a row is left that is counted, and says nothing.
remembered as (
    select
        {%- for field in event_fields() %}
        if(is_erased, null, `{{ field }}`) as `{{ field }}`,
        {%- endfor %}
        if(is_erased, null, log_user_id) as log_user_id,
        is_erased,
        source_file,
        input_version,
        is_line_start,
        malformed_line
    from recognized
),

identified as (
    select
        *,
        {{ user_id('log_user_id') | indent(4) }} as user_id,
        {{ whole_number('sessionId') | indent(4) }} as session_id,
        {{ valid_time('ts') | indent(4) }} as event_at
    from remembered
),

judged as (
    select
        *,
        case
            when malformed_line is not null then 'malformed_json'
            when is_erased then 'erased'
            when lower(auth) in ({{ sql_list(anonymous_auths) | lower }}) then 'anonymous'
            when user_id is null then 'missing_user_id'
            when event_at is null then 'invalid_ts'
            when page is null then 'missing_page'
            when session_id is null then 'missing_session_id'
            when {{ is_left_out('log_user_id') }} then 'other_user'
        end as rejection_reason
    from identified
),

-- What is null already costs next to nothing to type, to hash and to write.
sampled as (
    select
        {%- for column in event_fields() + ['user_id', 'session_id', 'event_at'] %}
        {{ unless_left_out(column) }} as `{{ column }}`,
        {%- endfor %}
        source_file,
        input_version,
        is_line_start,
        malformed_line,
        rejection_reason
    from judged
),

typed as (
    select
        *,
        {{ whole_number('itemInSession') | indent(4) }} as item_text,
        {{ whole_number('status') | indent(4) }} as status_text,
        {{ number_of('length') | indent(4) }} as length_s,
        {{ valid_time('registration', or_from='2005-01-01') | indent(4) }} as registered_at,
        -- "Kansas City, MO-KS" lies in several states; the first is the main one.
        substring_index(substring_index(location, ', ', -1), '-', 1) as state_code,
        {{ platform('userAgent') | indent(4) }} as platform
    from sampled
),

numbered as (
    select
        *,
        {{ whole_value('item_text') | indent(4) }} as item_number,
        {{ whole_value('status_text') | indent(4) }} as status_number
    from typed
),

explained as (
    select
        {%- for field, rules in reasons_of_nulls().items() %}
        case
            {%- for reason, condition in rules.items() %}
            when {{ condition }} then '{{ reason }}'
            {%- endfor %}
        end as {{ field }}_reason,
        {%- endfor %}
        *
    from numbered
),

validated as (
    select
        source_file,
        input_version,
        is_line_start,
        rejection_reason,
        user_id,
        session_id,
        if(item_in_session_reason is null, cast(item_number as int), null) as item_in_session,
        event_at,
        page,
        auth,
        if(level_reason is null, lower(level), null) as level,
        if(method_reason is null, upper(method), null) as method,
        if(status_reason is null, cast(status_number as int), null) as status,
        if(artist_reason is null and page = 'NextSong', artist, null) as artist,
        if(song_reason is null and page = 'NextSong', song, null) as song,
        if(song_length_s_reason is null, length_s, null) as song_length_s,
        if(gender_reason is null, upper(gender), null) as gender,
        registered_at,
        if(state_reason is null, state_code, null) as state,
        platform,
        location,
        useragent as user_agent,
        if(
            rejection_reason is null,
            nullif(
                concat_ws(
                    ','
                    {%- for field in reasons_of_nulls() %},
                    concat('{{ field }}:', {{ field }}_reason)
                    {%- endfor %}
                ),
                ''
            ),
            null
        ) as nulled_fields,
        -- What tells two events apart, though neither can have it; with the length it is one text.
        concat_ws(
            '\n'
            {%- for field, text in texts_of_nulls().items() %},
            if({{ field }}_reason is null, null, concat(length({{ text }}), ' ', {{ text }}))
            {%- endfor %}
        ) as nulled_texts,
        if(
            rejection_reason not in ('other_user', 'erased'),
            coalesce(
                {{ without_people('malformed_line') | indent(8) }},
                to_json(struct(
                    {%- for field in event_fields() %}
                    {{ 'user_id as ' if field == 'userId' and user_key_digest() -}}
                    `{{ field }}`{{ ',' if not loop.last }}
                    {%- endfor %}
                ))
            ),
            null
        ) as raw_row
    from explained
),

keyed as (
    select
        * except (location, user_agent, nulled_texts),
        to_date(event_at) as event_date,
        {{ hash_of([
            'user_id', 'session_id', 'item_in_session', 'event_at', 'page', 'auth', 'level',
            'method', 'status', 'artist', 'song', 'song_length_s', 'gender', 'registered_at',
            'location', 'user_agent', 'nulled_fields', 'nulled_texts',
        ]) }} as event_id
    from validated
)

select * from keyed
