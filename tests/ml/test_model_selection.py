import numpy as np
import pandas as pd
import pytest

from ml.evaluation import performance
from ml.model_selection import choose
from ml.stacking import AVERAGE, BASE_RATE, STACK

SAMPLING = {"draws": 200, "seed": 1}


def chosen(skills, *, rows=600):
    """The choice among candidates that lie so far between the base rate and the truth."""
    generator = np.random.default_rng(2)
    odds = generator.normal(size=rows)
    y = (generator.random(rows) < 1 / (1 + np.exp(1 - 2 * odds))).astype(int)
    parts = []
    for name, skill in {BASE_RATE: 0.0, **skills}.items():
        noise = generator.normal(size=rows) * 0.05
        p = 1 / (1 + np.exp(1 - 2 * skill * odds - noise * (skill > 0)))
        parts.append(
            pd.DataFrame({"user": range(rows), "candidate": name, "y": y, "p": p, "flagged": False})
        )
    backtest = pd.concat(parts, ignore_index=True)
    metrics = performance(backtest, **SAMPLING)
    return choose(backtest, metrics, ["a", "b"], **SAMPLING)


def test_a_stack_that_is_clearly_better_is_chosen():
    found = chosen({"a": 0.3, "b": 0.2, AVERAGE: 0.4, STACK: 0.9})

    assert found.candidate == STACK
    assert found.best_single == "a"
    assert found.table["candidate"].tolist() == ["a", "b", AVERAGE, STACK]
    assert found.table["is_chosen"].tolist() == [False, False, False, True]
    assert 0 < found.table.loc[0, "ci_low"] < found.table.loc[0, "gain"]


def test_the_simplest_within_chance_of_the_best_is_chosen():
    found = chosen({"a": 0.9, "b": 0.9, AVERAGE: 0.9, STACK: 0.9})

    assert found.candidate == "a"
    assert found.table.loc[0, "is_within"]


def test_a_simple_learner_that_is_clearly_worse_is_not_chosen():
    assert chosen({"a": 0.2, "b": 0.9, AVERAGE: 0.9, STACK: 0.9}).candidate == "b"


def test_an_average_goes_before_a_stack_that_is_no_better():
    assert chosen({"a": 0.3, "b": 0.3, AVERAGE: 0.9, STACK: 0.9}).candidate == AVERAGE


def test_the_best_by_log_loss_has_no_gain_left():
    table = chosen({"a": 0.3, "b": 0.2, AVERAGE: 0.4, STACK: 0.9}).table
    best = table.loc[table["log_loss"].idxmin()]

    assert (best["gain"], best["ci_low"], best["ci_high"]) == pytest.approx((0, 0, 0))
