{#
    The operating system of a browser, from its user agent.

        {{ platform('userAgent') }}
            ->  case when userAgent like '%Windows%' then 'Windows' ... end

    An iPhone or iPad also says "Mac OS X", and a Windows Phone all of these: the more special is asked
    for first. Null stays null.

    Arguments:
        user_agent: an expression.
#}
{% macro platform(user_agent) -%}
    case
        {%- for name, mark in [
            ('Windows', 'Windows'), ('iPhone', 'iPhone'), ('iPad', 'iPad'), ('Android', 'Android'),
            ('Mac', 'Macintosh'), ('Linux', 'Linux'),
        ] %}
        when {{ user_agent }} like '%{{ mark }}%' then '{{ name }}'
        {%- endfor %}
        when {{ user_agent }} is not null then 'Other'
    end
{%- endmacro %}
