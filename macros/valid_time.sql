{#
    Milliseconds since 1970, as text, as a timestamp; null before first_valid_date
    and from last_valid_date on: seconds taken for milliseconds, years like 2200.
    A registration may lie years before the log that first_valid_date begins. A number of six
    digits at most, as spreadsheets show a long one, is rounded to hours.

        {{ valid_time('ts') }}
            ->  case when coalesce(try_cast(ts as bigint), ...) >= ... then timestamp_millis(...) end

    Arguments:
        text: an expression.
        or_from: a date; times from it on are valid too where first_valid_date is later.
#}
{% macro valid_time(text, or_from='9999-12-31') -%}
    {%- set first = [var('first_valid_date') | string, or_from] | min -%}
    {#- Digits alone are read faster as a bigint. -#}
    {%- set number = 'coalesce(try_cast(' ~ text ~ ' as bigint), if(contains(' ~ text ~ ", '+') and " ~ text
        ~ " rlike '" ~ rounded_number() ~ "', null, " ~ number_of(text) ~ '))' -%}
    case
        when
            {{ number }} >= unix_millis(timestamp'{{ first }}')
            and {{ number }} < unix_millis(timestamp'{{ var("last_valid_date") }}')
            then timestamp_millis(cast({{ number }} as bigint))
    end
{%- endmacro %}
