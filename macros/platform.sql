{#
    The operating system of a browser, from its user agent.

        {{ platform('userAgent') }}
            ->  case when userAgent like '%iPhone%' then 'iPhone' ... end

    An iPhone or iPad also says "Mac OS X", so it is asked for first. Null stays null.

    Arguments:
        user_agent: an expression.
#}
{% macro platform(user_agent) -%}
    case
        {%- for name, mark in [
            ('iPhone', 'iPhone'), ('iPad', 'iPad'), ('Android', 'Android'), ('Windows', 'Windows'),
            ('Mac', 'Macintosh'), ('Linux', 'Linux'),
        ] %}
        when {{ user_agent }} like '%{{ mark }}%' then '{{ name }}'
        {%- endfor %}
        when {{ user_agent }} is not null then 'Other'
    end
{%- endmacro %}
