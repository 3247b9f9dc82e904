"""How users who leave differ: by pairs, with an interval that holds what it should."""

import numpy as np
import pandas as pd
from scipy.stats import brunnermunzel

from ml.differences import differences


def users(left: np.ndarray, stayed: np.ndarray) -> pd.DataFrame:
    leaves = np.arange(len(left) + len(stayed)) < len(left)
    return pd.DataFrame({"leaves": leaves, "songs": np.concatenate([left, stayed])})


def test_the_value_is_the_share_of_pairs_with_ties_as_half():
    left, stayed = np.array([1, 2, 2, 5, 9.0]), np.array([2, 2, 3, 0, 1, 1.0])
    pairs = (left[:, None] > stayed).mean() + (left[:, None] == stayed).mean() / 2
    found = differences(users(left, stayed), label="leaves").iloc[0]
    assert np.isclose(found["value"], pairs)
    assert np.isclose(found["q_value"], brunnermunzel(left, stayed).pvalue)
    assert found["ci_low"] < pairs < found["ci_high"]
    assert (found["leave_median"], found["stay_median"]) == (2, 1.5)


def test_the_interval_holds_the_truth_about_95_times_in_100():
    generator = np.random.default_rng(0)
    # Of normal values with means half a deviation apart: P(X > Y) = Phi(.5 / sqrt(2)).
    truth, held = 0.6382, 0
    for _ in range(400):
        table = users(generator.normal(0.5, 1, 30), generator.normal(0, 1, 120))
        found = differences(table, label="leaves").iloc[0]
        held += found["ci_low"] <= truth <= found["ci_high"]
    assert 0.92 <= held / 400 <= 0.98


def test_chance_is_not_taken_for_a_difference_where_one_side_spreads_wider():
    generator = np.random.default_rng(0)
    telling = 0
    for _ in range(400):
        # Means of few dates beside means of many.
        table = users(generator.normal(0, 2, 20), generator.normal(0, 1, 200))
        telling += differences(table, label="leaves")["q_value"].iloc[0] < 0.05
    assert telling / 400 <= 0.08


def test_few_of_many_equal_features_are_said_to_differ():
    generator = np.random.default_rng(1)
    table = pd.DataFrame(generator.normal(size=(150, 70))).add_prefix("f")
    table["real"] = generator.normal(size=150) + np.repeat([1.0, 0], [40, 110])
    table["leaves"] = np.arange(150) < 40
    found = differences(table, label="leaves")
    assert found["feature"].iloc[0] == "real"
    assert (found["q_value"] < 0.05).sum() <= 3


def test_features_that_cannot_be_compared_are_left_out():
    table = users(np.arange(8.0), np.arange(8.0) + 1).assign(
        constant=1, unknown=[np.nan] * 12 + [1, 2, 3, 4]
    )
    assert differences(table, label="leaves")["feature"].tolist() == ["songs"]
    assert differences(table.head(8), label="leaves").empty


def test_what_tells_perfectly_has_an_interval_within_0_and_1():
    for shift, value in ((20, 1), (-20, 0)):
        table = users(np.arange(5.0) + shift, np.arange(5.0))
        found = differences(table, label="leaves").iloc[0]
        assert found["value"] == value and 0 <= found["ci_low"] < found["ci_high"] <= 1
        # Of ten users each order is as likely: two of 252 are this one or its opposite.
        assert np.isclose(found["q_value"], 2 / 252)
        assert found["ci_high"] - found["ci_low"] > 0.2
        assert (found["leave_count"], found["stay_count"]) == (5, 5)
