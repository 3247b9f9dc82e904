{#
    The vars that sums of money rest on, as shown beside every such sum. `Offer.assumptions` in
    ml/economics.py says the same.

        {{ economics_in_words() }}
            ->  customer_value 200, contact_cost 1, offer_cost 10 USD; acceptance 0.3
#}
{% macro economics_in_words() %}
    {% set paid, free = customer_value('paid') | float, customer_value('free') | float %}
    {% set value = '%.10g' | format(paid) %}
    {% if var('customer_value') is mapping %}
        {% set value = 'paid %.10g and free %.10g' | format(paid, free) %}
    {% endif %}
    {% do return('customer_value %s, contact_cost %.10g, offer_cost %.10g %s; acceptance %.10g'
        | format(
            value, var('contact_cost') | float, var('offer_cost') | float,
            var('currency'), var('acceptance') | float
        )) %}
{% endmacro %}
