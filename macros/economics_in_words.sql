{#
    The vars that sums of money rest on, as shown beside every such sum. `Offer.assumptions` in
    ml/economics.py says the same.

        {{ economics_in_words() }}
            ->  customer_value 200, contact_cost 1, offer_cost 10 USD; acceptance 0.3
#}
{% macro economics_in_words() %}
    {% do return('customer_value %.10g, contact_cost %.10g, offer_cost %.10g %s; acceptance %.10g'
        | format(
            var('customer_value') | float, var('contact_cost') | float, var('offer_cost') | float,
            var('currency'), var('acceptance') | float
        )) %}
{% endmacro %}
