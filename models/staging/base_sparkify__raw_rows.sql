-- One row per JSON object or Parquet row of the source, every field as text; of a line that is not
-- JSON, one row without fields. So each line that is not blank gives at least one row.
{%- set fields, sources = event_fields(), event_sources() %}
{%- set struct_type = 'struct<`' ~ fields | join('`: string, `') ~ '`: string>' %}
with lines as (
    select
        _metadata.file_path as source_file,
        {{ file_version(is_json='true') | indent(4) }} as input_version,
        {{ trimmed('value') }} as line
    from {{ source('raw', 'lines') }}
    where {{ sources.json }}
),

-- Files put one behind the other leave their marks of the order of bytes, and a log that a crash
-- cut off is filled up with NUL.
bare as (
    select
        *,
        {{ trimmed('line', of_pages=true) | indent(4) }} as bare_line
    from lines
    where line != ''
),

-- A line of an array over several lines ends with a comma, and its first and last line may have a
-- bracket; an array on one line is as many rows.
without_commas as (
    select
        source_file,
        input_version,
        line,
        case
            when not is_valid_utf8(line) or {{ has_lone_surrogate('line') }} then '?'
            when endswith(bare_line, ',') then rtrim(left(bare_line, length(bare_line) - 1))
            else bare_line
        end as text
    from bare
),

texts as (
    select
        source_file,
        input_version,
        line,
        case
            when startswith(text, '[') and endswith(text, ']')
                then substring(text, 2, length(text) - 2)
            when startswith(text, '[') and endswith(text, '}') then substring(text, 2)
            when startswith(text, '{') and endswith(text, ']') then left(text, length(text) - 1)
            else text
        end as text
    from without_commas
),

parsed as (
    select
        *,
        coalesce(
            {{ json_objects('text', struct_type) }},
            {{ json_objects(separated_objects('text'), struct_type) }}
        ) as objects
    from texts
),

lowered as (
    select
        *,
        -- Once a row, and only where something may be looked for.
        if({{ lacks_field('get(objects, 0)') }}, lower(text), '') as lower_text
    from parsed
),

named as (
    select
        source_file,
        input_version,
        line,
        case
            -- A line is taken whole or not at all.
            when size(objects) > 1 and exists(objects, each -> each is null) then null
            -- A bracket that closes too early hides what follows: then one more object is none.
            when
                contains(text, ']')
                and not size(
                    {{ json_objects(separated_objects('text') ~ ", ',{}'", 'struct<ts: string>') }}
                ) <=> size(objects) + 1
                then null
            when size(objects) > 1 or {{ has_other_case('get(objects, 0)', 'text', 'lower_text') }}
                then
                    transform(
                        {{ json_objects(separated_objects('text'), 'map<string, string>') }},
                        each -> {{ fields_of_keys('each') }}
                    )
            else objects
        end as objects
    from lowered
),

-- A long line is kept beside its objects only where it has none.
accounted as (
    select
        source_file,
        input_version,
        objects,
        if(get(objects, 0) is null, line, null) as malformed_line
    from named
),

json_rows as (
    select
        source_file,
        input_version,
        posexplode_outer(objects) as (line_position, event),
        malformed_line
    from accounted
)

select
    {%- for field in fields %}
    event.`{{ field }}`,
    {%- endfor %}
    source_file,
    input_version,
    -- The first of its line, or all there is of it.
    coalesce(line_position, 0) = 0 as is_line_start,
    malformed_line
from json_rows
{%- for form in sources.parquet %}

union all

select
    {%- for field in fields %}
    {{ parquet_text(field, form.columns) }} as `{{ field }}`,
    {%- endfor %}
    _metadata.file_path as source_file,
    {{ file_version(is_json='false') }} as input_version,
    true as is_line_start,
    cast(null as string) as malformed_line
from {{ form.relation }}
where {{ form.condition }}
{%- endfor %}
