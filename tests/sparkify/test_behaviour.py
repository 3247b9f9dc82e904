"""What users live through moves them, and the truth of a simulated life is true."""

import numpy as np
import pandas as pd
import pytest

from sparkify.simulator import behaviour, people
from sparkify.simulator.behaviour import Life, churn_probability, live
from sparkify.simulator.people import DAY_S, PAGE_NAMES
from sparkify.simulator.worlds import WORLDS

START_S = 1_538_352_000


def lives_of(users: int, *, seed: int, days: int, world: str = "usual") -> list[Life]:
    return [
        live(
            np.random.default_rng([index, seed]),
            WORLDS[world],
            index=index,
            start_s=START_S,
            days=days,
        )
        for index in range(users)
    ]


@pytest.fixture(scope="module")
def many():
    """Lives enough to measure shares."""
    return lives_of(3000, seed=3, days=35)


def test_hazards_predict_how_many_cancel(many):
    expected = sum(-np.expm1(-life.hazard).sum() for life in many)
    cancelled = sum(life.cancelled_s is not None for life in many)
    assert abs(cancelled - expected) < 4 * np.sqrt(expected)


def test_probabilities_are_those_of_cancelling_within_14_days(many):
    """In each fifth; by who cancelled and, less noisy, by the hazards that they came to meet."""
    tables = []
    for day in (7, 21):
        present = [o for o in many if o.first_day <= day and not o.has_left_before(day)]
        ahead = (o.hazard[day - o.first_day :][:14] for o in present)
        tables.append(
            pd.DataFrame(
                {
                    "probability": churn_probability(present, day=day),
                    "left": [o.has_left_before(day + 14) for o in present],
                    "risk": [-np.expm1(-hazard).sum() for hazard in ahead],
                }
            )
        )
    rows = pd.concat(tables)
    fifths = rows.groupby(pd.qcut(rows["probability"], 5, labels=False)).agg(["sum", "mean"])
    expected = fifths["probability", "sum"]
    assert (abs(fifths["left", "sum"] - expected) < 3 * np.sqrt(expected)).all()
    assert abs(fifths["risk", "sum"] / expected - 1).max() < 0.08
    shares = fifths["left", "mean"]
    assert shares.is_monotonic_increasing
    assert shares.iloc[-1] > 5 * shares.iloc[0]


@pytest.fixture(scope="module", params=[world for world in WORLDS if world != "usual"])
def other(request):
    """The name of a world, and its lives around the price rise."""
    return request.param, lives_of(1500, seed=4, days=42, world=request.param)


def test_the_truth_of_every_world_is_what_comes_true(other):
    world, lives = other
    for day in (21, 28):
        present = [o for o in lives if o.first_day <= day and not o.has_left_before(day)]
        expected = churn_probability(present, day=day).sum()
        left = sum(life.has_left_before(day + 14) for life in present)
        assert abs(left - expected) < 3 * np.sqrt(expected), (world, day)


def test_a_world_is_what_its_name_says(other):
    world, lives = other
    hazard = pd.DataFrame(
        [
            (life.first_day + i, life.level[i], each, life.wander[i + 1] + life.lived[i + 1])
            for life in lives
            for i, each in enumerate(life.hazard)
        ],
        columns=["day", "is_paid", "hazard", "mood"],
    )
    if world == "no_signal":
        assert hazard["hazard"].nunique() == 1
    if world == "new_users":
        assert all(life.profile.is_new for life in lives)
    is_felt = world not in ("abrupt", "no_signal")
    assert (abs(np.log(hazard["hazard"]).corr(hazard["mood"])) > 0.3) == is_felt
    weekly = hazard[hazard["day"].between(21, 34)].assign(week=lambda rows: rows["day"] >= 28)
    mean = weekly.groupby(["is_paid", "week"])["hazard"].mean().unstack("week")
    rise = mean[True] / mean[False]
    if world == "price_rise":
        assert rise.loc[1] > 1.8 and rise.loc[0] < 1.4


def test_a_season_moves_how_many_come():
    usual, seasonal = (lives_of(400, seed=4, days=42, world=name) for name in ("usual", "seasonal"))
    high, low = (visits(seasonal, day) / visits(usual, day) for day in (3, 24))
    assert high > 1.15
    assert low < 0.85


def visits(lives: list[Life], day: int) -> int:
    """Sessions begun in the two weeks from a day on."""
    begin, end = START_S + day * DAY_S, START_S + (day + 14) * DAY_S
    return sum(begin <= session.start_s < end for life in lives for session in life.sessions)


@pytest.mark.parametrize(
    ("page", "sign"),
    [
        ("Roll Advert", -1),
        ("Error", -1),
        ("Thumbs Down", -1),
        ("Thumbs Up", 1),
        ("Add Friend", 1),
        ("Add to Playlist", 1),
    ],
)
def test_satisfaction_moves_with_what_happens_to_a_user(monkeypatch, page, sign):
    column = PAGE_NAMES.index(page)
    only = np.where(np.arange(len(PAGE_NAMES)) == column, people.IMPACT, 0)
    monkeypatch.setattr(behaviour, "IMPACT", only)
    met = 0
    for life in lives_of(60, seed=5, days=20):
        count = sum(session.follows[:, column].sum() for session in life.sessions)
        moved = sign * life.lived
        assert (moved >= 0).all()
        assert (moved.max() > 0) == (count > 0)
        met += count > 0
    assert met > 5


def test_without_impacts_nothing_of_what_happened_remains(monkeypatch):
    monkeypatch.setattr(behaviour, "IMPACT", 0 * people.IMPACT)
    assert not any(life.lived.any() for life in lives_of(60, seed=5, days=20))


@pytest.mark.parametrize(
    ("page", "is_worse"), [("Error", True), ("Thumbs Down", True), ("Add Friend", False)]
)
def test_who_lives_through_more_of_it_comes_and_leaves_otherwise(monkeypatch, page, is_worse):
    """The same 300 users, with 10 times as much of one page."""
    usual = habits(lives_of(300, seed=5, days=28), without=page)
    often = people.RATE * np.where(np.arange(len(PAGE_NAMES)) == PAGE_NAMES.index(page), 10, 1)
    monkeypatch.setattr(people, "RATE", often)
    found = habits(lives_of(300, seed=5, days=28), without=page) / usual
    worse = found if is_worse else 1 / found
    assert worse["hazard"] > 1.2
    assert worse["visits"] < 0.95
    assert worse["dislikes"] > 1.1


def habits(lives: list[Life], *, without: str) -> pd.Series:
    """Daily hazard and visits from the second week, and clicks of displeasure a song."""
    disliked = [p for p in ("Thumbs Down", "Downgrade") if p != without]
    columns = [PAGE_NAMES.index(page) for page in disliked]
    sessions = [o for life in lives for o in life.sessions if o.start_s >= START_S + 7 * DAY_S]
    hazard = np.concatenate([life.hazard[7:] for life in lives])
    follows = np.concatenate([session.follows for session in sessions])
    return pd.Series(
        {
            "hazard": hazard.mean(),
            "visits": len(sessions) / len(hazard),
            "dislikes": follows[:, columns].mean(axis=0)[0],
        }
    )


def test_even_who_comes_daily_may_stay_away_for_a_week(monkeypatch):
    monkeypatch.setattr(people, "ACTIVE_INTERCEPT", 4)
    monkeypatch.setattr(people, "ACTIVE_USER_SD", 0)
    lives = lives_of(150, seed=5, days=35)
    gaps = [np.diff([session.start_s for session in life.sessions]) for life in lives]
    assert np.mean([(gap > 7 * DAY_S).any() for gap in gaps]) > 0.03
    assert np.mean([np.median(gap) < 1.5 * DAY_S for gap in gaps]) > 0.9
