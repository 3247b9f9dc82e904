{#
    A condition that is true when a replace_changed table is made whole, and limits what is read to
    what the changed dates need when they alone are made anew.

        {{ within_changed('activity_date', -28, -1) }}
            ->  activity_date between date_add(date'2018-10-29', -28)
                and date_add(date'2018-11-12', -1)

    Arguments:
        column: a date.
        first, last: how many days from a changed date on the rows lie that it is made of.
#}
{% macro within_changed(column, first, last) -%}
    /* within {{ column }} {{ first }} {{ last }} */ true /* end of within */
{%- endmacro %}
