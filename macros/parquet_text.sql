{#
    A field of a Parquet file as text, as JSON would have it: times as milliseconds since 1970,
    whole numbers without a fraction, what is no number as null, a time that a float has rounded as
    what is no time.

        {{ parquet_text('ts', [('ts', 'timestamp_ntz', none)]) }}
            ->  cast(unix_millis(cast(`ts` as timestamp)) as string)

    A time without a zone is UTC. Nanoseconds arrive as bigint, and a comment of the column says so.

    Arguments:
        field: by the name the log gives it.
        columns: of the relation, as rows of name, type and comment.
#}
{% macro parquet_text(field, columns) -%}
    {%- set found = namespace(text='null') -%}
    {%- for name, type, comment in columns if name | lower == field | lower -%}
        {%- set column = '`' ~ name ~ '`' -%}
        {%- if field in ['ts', 'registration'] and type == 'date' -%}
            {#- Of a date that is no time, as infinity, a cast would end the run. -#}
            {%- set found.text = 'unix_date(' ~ column ~ ') * 86400000L' -%}
        {%- elif field in ['ts', 'registration'] and type in ['timestamp', 'timestamp_ntz'] -%}
            {%- set found.text = 'unix_millis(cast(' ~ column ~ ' as timestamp))' -%}
        {%- elif comment == 'nanoseconds' -%}
            {%- set found.text = column ~ ' div 1000000' -%}
        {%- elif type in ['double', 'float'] -%}
            {#- From here on whole numbers are rounded: several ids, or times, would become one. -#}
            {%- set exact = 16777216 if type == 'float' else 9007199254740992 -%}
            {%- set digits = 'cast(cast(' ~ column ~ ' as bigint) as string)' -%}
            {%- set rounded, finite = digits, column -%}
            {%- if field in ['ts', 'registration'] -%}
                {%- set rounded = "'rounded'" -%}
            {%- elif field in ['userId', 'sessionId', 'page'] -%}
                {%- set rounded = 'null' -%}
                {%- set finite = 'nullif(nullif(' ~ column ~ ", double('infinity')), -double('infinity'))" -%}
            {%- endif -%}
            {%- set found.text = 'if(' ~ column ~ ' = floor(' ~ column ~ ') and abs(' ~ column
                ~ ') < 1e18, if(abs(' ~ column ~ ') < ' ~ exact ~ ', ' ~ digits ~ ', ' ~ rounded
                ~ '), cast(nanvl(' ~ finite ~ ', null) as string))' -%}
        {%- elif type.startswith('decimal') -%}
            {#- A whole one without a fraction: Java writes a zero of many digits as 0E-9. -#}
            {%- set found.text = 'if(' ~ column ~ ' % 1 = 0, cast(cast(' ~ column
                ~ ' as decimal(38, 0)) as string), cast(' ~ column ~ ' as string))' -%}
        {%- elif type in ['string', 'binary'] -%}
            {#- Ids that are not UTF-8 would all be shown alike. -#}
            {%- set repair = 'try_validate_utf8' if field in ['userId', 'sessionId', 'page'] else 'make_valid_utf8' -%}
            {%- set found.text = repair ~ '(cast(' ~ column ~ ' as string))' -%}
        {%- else -%}
            {%- set found.text = column -%}
        {%- endif -%}
    {%- endfor -%}
    cast({{ found.text }} as string)
{%- endmacro %}
