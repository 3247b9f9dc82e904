import numpy as np
import pandas as pd
import pytest
from empulse.metrics import empc_score

from ml.economics import (
    BY_SCORE,
    Offer,
    break_even,
    contact_profit,
    expected_maximum_profit,
    policies,
    profit_curve,
    sampled_maximum_profit,
)

OFFER = Offer()
SAMPLING = {"draws": 200, "seed": 1}


def campaign(users=400, skill=1.0, seed=3, rarity=1.5):
    """A row a user on two dates; `inactivity` knows less than `p` does."""
    generator = np.random.default_rng(seed)
    odds = generator.normal(size=2 * users)
    churn = (generator.random(2 * users) < 1 / (1 + np.exp(rarity - odds))).astype(int)
    p = 1 / (1 + np.exp(rarity - skill * odds))
    noise = generator.normal(size=2 * users)
    return pd.DataFrame(
        {
            "user": np.tile(np.arange(users), 2),
            "origin": np.repeat(["2018-11-05", "2018-11-12"], users),
            "y": churn,
            "p": p,
            "inactivity": np.round(np.exp(1 + 0.3 * odds + noise)),
        }
    )


def test_at_break_even_a_contact_earns_nothing_on_average():
    p = break_even(OFFER)

    assert p == pytest.approx(11 / (0.3 * 190 + 10))
    assert contact_profit(p, OFFER) == pytest.approx(0)
    assert contact_profit(p + 0.01, OFFER) > 0


def test_an_offer_says_in_words_what_profits_rest_on():
    words = "customer_value 200, contact_cost 1, offer_cost 2.5 EUR; acceptance 0.3"

    assert Offer(offer_cost=2.5, currency="EUR").assumptions == words
    by_level = Offer(free_value=40).assumptions
    assert by_level.startswith("customer_value paid 200 and free 40, contact_cost 1")


def test_an_offer_that_never_pays_breaks_even_at_certainty():
    assert break_even(Offer(customer_value=20, acceptance=0.1)) == 1


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"contact_cost": -1}, "must be 0 or more"),
        ({"acceptance": 1.0}, "must lie between 0 and 1"),
        ({"customer_value": 5}, "must exceed offer_cost"),
        ({"free_value": 5}, r"customer_value \(5.*must exceed offer_cost"),
    ],
)
def test_an_offer_that_makes_no_sense_is_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        Offer(**wrong)


def test_the_profit_curve_begins_at_nobody_and_ends_at_everybody():
    rows = campaign()
    curve = profit_curve(rows, OFFER, **SAMPLING)

    assert len(curve) == 101
    assert curve.loc[0, ["expected", "realised"]].tolist() == [0, 0]
    everybody = contact_profit(rows["y"].to_numpy(), OFFER).mean()
    assert curve["realised"].iloc[-1] == pytest.approx(everybody)
    assert (curve["ci_low"] <= curve["realised"]).all()
    assert (curve["realised"] <= curve["ci_high"]).all()


def test_of_a_hundred_users_as_many_are_contacted_as_there_are_percent():
    p = np.arange(100, 0, -1) / 1000
    rows = pd.DataFrame({"user": range(100), "y": [1, 0] * 50, "p": p})
    curve = profit_curve(rows, OFFER, **SAMPLING)

    assert curve["threshold"].tolist() == [p[0], *p]


def test_the_expected_profit_is_highest_where_the_probability_breaks_even():
    curve = profit_curve(campaign(), OFFER, **SAMPLING)
    best = curve.loc[curve["expected"].idxmax()]

    assert best["threshold"] == pytest.approx(break_even(OFFER), abs=0.01)


def test_the_maximum_profit_of_all_draws_equals_that_of_empulse():
    # Where few churn, few of many are worth contacting.
    for users, rarity in ((30, 1.5), (400, 1.5), (5_000, 1.5), (10_000, 5.0)):
        rows = campaign(users, rarity=rarity)
        y, p = rows["y"].to_numpy(), rows["p"].to_numpy()
        order = np.argsort(-p)
        hits = np.cumsum(y[order])[None]
        misses = np.cumsum(1 - y[order])[None]
        for offer in (OFFER, Offer(customer_value=100, acceptance=0.5, certainty=8)):
            terms = {
                "alpha": offer.acceptance * offer.certainty,
                "beta": (1 - offer.acceptance) * offer.certainty,
                "clv": offer.customer_value,
                "incentive_cost": offer.offer_cost,
                "contact_cost": offer.contact_cost,
            }
            exact = empc_score(y, p, **terms)
            sampled = sampled_maximum_profit(hits, misses, np.array([float(len(y))]), offer)
            assert sampled[0] == pytest.approx(exact, rel=2e-3)
            found = expected_maximum_profit(y, p, offer)
            assert found.value == pytest.approx(exact)
            assert 0 < found.share < 1


def test_contacting_nobody_costs_nothing_and_everybody_what_it_costs():
    rows = campaign()
    found = policies(rows, OFFER, **SAMPLING).set_index("policy")

    assert found.loc["nobody", ["profit", "ci_low", "ci_high"]].tolist() == [0, 0, 0]
    everybody = contact_profit(rows["y"].to_numpy(), OFFER).mean()
    assert found.loc["everybody", "profit"] == pytest.approx(everybody)
    assert found.loc["everybody", "share_contacted"] == 1
    assert found.loc["top decile by score", "share_contacted"] == pytest.approx(0.1)
    assert found.loc["top decile by inactivity", "share_contacted"] == pytest.approx(0.1)


def test_a_score_with_skill_earns_more_than_inactivity_and_says_how_much():
    found = policies(campaign(2_000), OFFER, **SAMPLING).set_index("policy")
    inactivity = found.loc["top decile by inactivity"]

    assert inactivity["score_gain_low"] > 0
    assert inactivity["score_gain"] == pytest.approx(
        found.loc[BY_SCORE, "profit"] - inactivity["profit"]
    )
    assert found.loc[BY_SCORE, ["score_gain", "score_gain_low"]].tolist() == [0, 0]


def test_equal_users_at_the_border_of_a_decile_share_the_places_left():
    rows = campaign(50).assign(inactivity=3.0)
    found = policies(rows, OFFER, **SAMPLING).set_index("policy")
    by_inactivity = found.loc["top decile by inactivity"]

    assert by_inactivity["share_contacted"] == pytest.approx(0.1)
    assert by_inactivity["profit"] == pytest.approx(0.1 * found.loc["everybody", "profit"])


def test_without_a_measure_of_inactivity_there_is_no_such_policy():
    found = policies(campaign().assign(inactivity=None), OFFER, **SAMPLING)

    assert "top decile by inactivity" not in set(found["policy"])


def test_users_of_two_levels_are_worth_what_they_are_worth_each():
    """A campaign of both levels earns what one of each earns, and no more."""
    both, offer = campaign().assign(is_paid=lambda rows: rows.index % 3 > 0), Offer(free_value=40)
    alone = {
        is_paid: policies(rows, Offer(customer_value=value), **SAMPLING).set_index("policy")
        for is_paid, value in ((True, 200), (False, 40))
        for rows in [both[both["is_paid"] == is_paid]]
    }
    found = policies(both, offer, **SAMPLING).set_index("policy")
    share = both["is_paid"].mean()
    for policy in ("everybody", BY_SCORE):
        expected = share * alone[True]["profit"] + (1 - share) * alone[False]["profit"]
        assert found.loc[policy, "profit"] == pytest.approx(expected[policy])
    assert profit_curve(both, offer, **SAMPLING)["realised"].iloc[-1] == pytest.approx(
        found.loc["everybody", "profit"]
    )
    assert offer.on_average(both).customer_value == pytest.approx(share * 200 + (1 - share) * 40)


def test_whoever_is_not_known_to_pay_is_worth_what_a_free_user_is():
    known = np.array([True, False, None, np.nan], dtype=object)

    assert Offer(free_value=40).customer_value_of(known).tolist() == [200, 40, 40, 40]
    assert Offer().customer_value_of(known).tolist() == [200] * 4
