"""Intervals held against the truth: of simulated worlds, 95 in 100 should have it inside."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from ml.economics import BY_SCORE, Offer, policies
from ml.evaluation import log_loss_gain, performance, roc_auc
from ml.stacking import BASE_RATE

pytestmark = pytest.mark.long

# Churners expected in a world, and how many worlds: small ones are where intervals fall short.
WORLDS = {20: 160, 50: 80, 100: 40, 200: 30, 500: 20}
CHURNERS_A_USER = 0.15
LIMITS = ["value", "ci_low", "ci_high"]


def world(users, *, seed, skill=0.8):
    """What a backtest predicts of three Mondays, up to three rows a user, two weeks ahead.

    Each user has a hazard, which varies a little by week; the model knows part of it. Without
    `skill` it knows nothing, and its probabilities lie close about the base rate.
    """
    generator = np.random.default_rng(seed)
    hazard_odds, noise = generator.normal(size=(2, users))
    known = hazard_odds + 0.8 * noise if skill else noise
    hazard = np.exp(-3.55 + hazard_odds[:, None] + generator.normal(0, 0.3, (users, 4)))
    churns = generator.exponential(size=(users, 4)) < hazard
    churn_week = np.where(churns.any(axis=1), churns.argmax(axis=1), 9)[:, None]
    week = np.arange(3)
    is_active = (churn_week >= week) & (generator.random((users, 3)) < 0.9)
    user, week = np.nonzero(is_active)
    odds = known[user] + generator.normal(0, 0.3, len(user))
    rows = pd.DataFrame(
        {
            "user": user,
            "origin": week,
            "y": (churn_week[user, 0] < week + 2).astype(int),
            "inactivity": None,
        }
    )
    p = expit(skill * odds - 2.75 if skill else 0.05 * odds - 2.45)
    both = {"model": p, BASE_RATE: np.array([0.085, 0.085, 0.08])[week]}
    return pd.concat(
        [rows.assign(candidate=name, p=p, flagged=p >= 0.17) for name, p in both.items()],
        ignore_index=True,
    )


def estimates(rows, *, draws):
    """value, ci_low and ci_high of every number that has an interval."""
    sampling = {"draws": draws, "seed": 0}
    metrics = performance(rows, **sampling).query("candidate == 'model'").set_index("metric")
    model = rows[rows["candidate"] == "model"]
    earned = policies(model, Offer(), **sampling).set_index("policy").loc[[BY_SCORE]]
    gain = log_loss_gain(rows, candidate="model", reference=BASE_RATE, **sampling)
    return pd.concat(
        [
            metrics[LIMITS],
            earned.rename(columns={"profit": "value"})[LIMITS],
            pd.DataFrame(vars(gain), index=["log_loss_gain"])[LIMITS],
        ]
    )


@pytest.fixture(scope="module")
def found():
    """The estimates of all worlds beside the truth, which is the estimate of very many users."""
    truth = estimates(world(100_000, seed=0), draws=2)["value"]
    tables = []
    for churners, count in WORLDS.items():
        for seed in range(count):
            rows = world(round(churners / CHURNERS_A_USER), seed=[churners, seed])
            tables.append(estimates(rows, draws=200).assign(churners=churners, truth=truth))
    table = pd.concat(tables)
    is_inside = table["truth"].between(table["ci_low"], table["ci_high"])
    return table.assign(is_inside=is_inside).rename_axis("metric").reset_index()


@pytest.mark.parametrize(
    "metric", ["roc_auc", "log_loss_gain", "expected_maximum_profit", BY_SCORE]
)
def test_an_interval_holds_the_truth_in_93_to_97_of_100_worlds(found, metric):
    inside = found[found["metric"] == metric]["is_inside"]

    assert len(inside) >= 200
    assert 0.93 <= inside.mean() <= 0.97


def test_the_maximum_profit_of_a_sample_is_too_high_and_its_interval_is_not(found):
    rows = found[found["metric"] == "expected_maximum_profit"]
    above = (rows["truth"] < rows["ci_low"]).mean()

    assert 0.3 < ((rows["value"] - rows["truth"]) / rows["value"].std()).mean() < 1
    assert above < 0.03


def test_predictions_without_signal_are_rarely_said_to_beat_the_base_rate():
    claimed = []
    for seed in range(200):
        rows = world([150, 300, 600][seed % 3], seed=seed, skill=0)
        gain = log_loss_gain(rows, candidate="model", reference=BASE_RATE, draws=200, seed=0)
        claimed.append(gain.ci_low > 0)

    assert np.mean(claimed) <= 0.05


def test_the_auc_by_itself_has_the_interval_of_the_table():
    rows = world(300, seed=1)
    model = rows[rows["candidate"] == "model"]
    alone = roc_auc(*(model[name].to_numpy() for name in ("y", "p", "user")), draws=200, seed=0)

    assert alone == pytest.approx(tuple(estimates(rows, draws=200).loc["roc_auc"]))
