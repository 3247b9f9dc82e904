-- One row per line of the source files, parsed once, with the reason why it is rejected.
-- depends_on: {{ ref('base_sparkify__files') }}
with source_rows as (
    select
        *,
        _metadata.file_path as source_file,
        {{ file_version() }} as input_version,
        {{ epoch_ms('ts') }} as ts_ms,
        {{ epoch_ms('registration') }} as registration_ms,
        -- Some exporters write 39 as 39.0.
        nullif(regexp_replace(trim(userid), '\\.0+$', ''), '') as user_id,
        nullif(trim(page), '') as page_name
    from {{ source('raw', 'events') }}
),

judged as (
    select
        *,
        case
            when _corrupt_record is not null then 'malformed_json'
            when auth in ({{ sql_list(var('anonymous_auths')) }}) then 'anonymous'
            when user_id is null then 'missing_user_id'
            when
                ts_ms is null
                or ts_ms < unix_millis(timestamp'{{ var("first_valid_date") }}')
                or ts_ms >= unix_millis(timestamp'{{ var("last_valid_date") }}')
                then 'invalid_ts'
            when page_name is null then 'missing_page'
            when nullif(trim(sessionid), '') is null then 'missing_session_id'
        end as rejection_reason
    from source_rows
),

typed as (
    select
        user_id,
        trim(sessionid) as session_id,
        try_cast(iteminsession as int) as item_in_session,
        if(rejection_reason is null, timestamp_millis(cast(ts_ms as bigint)), null) as event_at,
        page_name as page,
        auth,
        level,
        method,
        try_cast(status as int) as status,
        artist,
        song,
        try_cast(length as double) as song_length_s,
        gender,
        if(
            registration_ms >= unix_millis(timestamp'{{ var("first_valid_date") }}')
            and registration_ms < unix_millis(timestamp'{{ var("last_valid_date") }}'),
            timestamp_millis(cast(registration_ms as bigint)),
            null
        ) as registered_at,
        -- "Kansas City, MO-KS" lies in several states; the first is the main one.
        nullif(substring(split_part(location, ', ', -1), 1, 2), '') as state,
        {{ platform('useragent') }} as platform,
        location,
        useragent as user_agent,
        source_file,
        md5(source_file) as file_id,
        input_version,
        rejection_reason,
        if(
            rejection_reason is not null,
            coalesce(
                _corrupt_record,
                to_json(struct(
                    ts, userid, sessionid, page, auth, method, status, level, iteminsession,
                    location, useragent, registration, gender, artist, song, length
                ))
            ),
            null
        ) as raw_row
    from judged
),

keyed as (
    select
        * except (location, user_agent),
        to_date(event_at) as event_date,
        if(
            rejection_reason is null,
            {{ surrogate_key([
                'user_id', 'session_id', 'item_in_session', 'event_at', 'page', 'auth', 'level',
                'method', 'status', 'artist', 'song', 'song_length_s', 'gender', 'registered_at',
                'location', 'user_agent',
            ]) | indent(12) }},
            null
        ) as event_id
    from typed
)

select * from keyed
