"""Who becomes champion, week after week, in worlds whose truth is known."""

import datetime as dt
import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from ml.evaluation import Gain
from ml.promotion import (
    CHALLENGER,
    CHAMPION,
    MARGIN,
    Champion,
    Reign,
    decide,
    deployed_backtest,
    previous,
    read_history,
    recipe_of,
    rejected,
    shared_rows,
    users_to_prove,
)

FIRST = dt.date(2018, 10, 1)
HORIZON_DAYS, ORIGINS, WEEKS = 14, 3, 12
# The week in which the champion was trained: the last Monday with a known label.
TRAINED = 6
SKILLED = Gain("model", "base_rate", 0.02, 0.01, 0.03, 0.005)
LOG_ODDS, SPREAD = -2.6, 0.7
# What each recipe sees of three independent parts of a user's risk.
SEES = {"old": [0, 1], "equal": [0, 2], "better": [0, 1, 2], "worse": [0]}


def world(seed: int, *, users: int = 500) -> pd.DataFrame:
    """One row per user and Monday: time, y, and the prediction of each recipe, calibrated.

    A user churns within 14 days with a constant probability and is gone after it, so that rows of
    one user, and of label windows that overlap, depend on each other.
    """
    generator = np.random.default_rng(seed)
    parts = generator.normal(0, SPREAD, (3, users))
    truth = 1 / (1 + np.exp(-LOG_ODDS - parts.sum(axis=0)))
    leaves = generator.geometric(1 - np.sqrt(1 - truth)) - 1
    week, user = (each.ravel() for each in np.indices((WEEKS, users)))
    rows = pd.DataFrame({"user": user, "week": week, "y": (leaves[user] < week + 2).astype(int)})
    for recipe, seen in SEES.items():
        hidden = SPREAD**2 * (3 - len(seen))
        known = LOG_ODDS + parts[seen].sum(axis=0)
        # The mean of a logistic function over a normal that is not seen, to a good approximation.
        rows[recipe] = (1 / (1 + np.exp(-known / np.sqrt(1 + 0.346 * hidden))))[user]
    rows["time"] = (pd.Timestamp(FIRST) + pd.to_timedelta(7 * rows["week"], "D")).astype(str)
    return rows[leaves[user] >= week].assign(user=lambda r: "u" + r["user"].astype(str))


def trained(rows: pd.DataFrame, recipe: str, *, week: int, skill: Gain = SKILLED):
    """The result of a training in which `week` is the last with a label."""
    tested = rows[rows["week"].between(week - ORIGINS + 1, week)]
    backtest = tested[["user", "time", "y"]].assign(
        origin=tested["time"], p=tested[recipe], candidate="model", row=tested.index
    )
    return SimpleNamespace(
        candidate="model",
        backtest=backtest,
        skill=skill,
        learned_until=FIRST + dt.timedelta(weeks=week),
    )


def champion_of(rows: pd.DataFrame, recipe: str = "old", *, week: int = TRAINED) -> Champion:
    told = rows.set_index(["user", pd.to_datetime(rows["time"])])[recipe]

    def predict(keys: pd.DataFrame) -> np.ndarray:
        return told.reindex(pd.MultiIndex.from_frame(keys)).to_numpy()

    return Champion(
        version=1,
        backtest=deployed_backtest(trained(rows, recipe, week=week)),
        recipe=recipe,
        learned_until=FIRST + dt.timedelta(weeks=week),
        horizon_days=HORIZON_DAYS,
        predict=predict,
    )


def verdict(rows, recipe: str, *, week: int, champion: Champion | None, name: str | None = None):
    """name: of a recipe that is said to be another one than it is."""
    result = trained(rows, recipe, week=week)
    return decide(result, recipe=name or recipe, champion=champion, draws=200, seed=week)


def promoted(seed: int, recipe: str, *, weeks: int = 3, name: str | None = None, **size) -> list:
    """In which of the weeks after the champion's training the recipe would take over."""
    rows = world(seed, **size)
    champion = champion_of(rows)
    return [
        verdict(rows, recipe, week=TRAINED + ahead, champion=champion, name=name)[0] == CHAMPION
        for ahead in range(1, weeks + 1)
    ]


@pytest.mark.long
def test_of_200_equal_new_recipes_at_most_5_percent_are_promoted_in_three_weeks():
    found = np.array([promoted(seed, "equal", users=300) for seed in range(200)])
    assert found.any(axis=1).mean() <= 0.05


def test_a_clearly_better_recipe_is_promoted_within_three_weeks():
    found = np.array([promoted(seed, "better", users=2000) for seed in range(20)])
    assert found.any(axis=1).all()


@pytest.mark.long
def test_the_same_recipe_on_newer_data_is_promoted_unless_it_is_clearly_worse():
    """Worse is here what sees a third of the risk where the champion saw two."""
    name = "old"
    seeds = range(30)
    for recipe in ("old", "equal"):
        found = np.array([promoted(seed, recipe, name=name, weeks=2) for seed in seeds])
        assert found.mean() >= 0.95
    found = [promoted(seed, "worse", name=name, users=5000) for seed in range(10)]
    assert np.mean(found) <= 0.05
    rows = world(0, users=5000)
    _, why = verdict(rows, "worse", week=TRAINED + 2, champion=champion_of(rows), name=name)
    assert "It is clearly worse than version 1, of the same recipe, on the same" in why
    assert 0 < MARGIN < 0.05


def test_where_few_churn_a_model_that_lost_its_skill_does_not_take_over():
    """At half a percent of churners the whole gain of a good model is two thousandths of a nat."""
    generator, users = np.random.default_rng(5), 60_000
    risk = generator.normal(0, 1.2, users)
    p = 1 / (1 + np.exp(6 - risk))
    y = (generator.random(users) < p).astype(int)
    told = pd.DataFrame({"user": np.arange(users).astype(str), "time": "2018-11-05", "y": y})
    told = told.assign(origin=told["time"], candidate="model", row=None)
    champion = replace(champion_of(world(0)), backtest=told.assign(p=p), predict=lambda keys: p)
    flat = SimpleNamespace(
        candidate="model",
        backtest=told.assign(p=0.99 * p.mean() + 0.01 * p),
        skill=SKILLED,
        learned_until=FIRST + dt.timedelta(weeks=9),
    )
    alias, why = decide(flat, recipe="old", champion=champion, draws=200, seed=0)
    assert alias == CHALLENGER and "It is clearly worse than version 1" in why


def test_an_interval_above_0_that_is_not_enough_says_what_would_be():
    rows = world(5, users=2000)
    paired = Gain("new", "old", 0.01, 0.0005, 0.02, 0.005)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ml.promotion._paired", lambda *_, **__: paired)
        alias, why = verdict(rows, "better", week=TRAINED + 3, champion=champion_of(rows))
    assert alias == CHALLENGER
    assert why.endswith(
        "(0.0005 to 0.0200) in log loss. As it is looked at with every training "
        "anew, that has to be 2.24 standard errors."
    )


def test_in_a_rehearsal_the_champion_stays_fresh_and_a_better_recipe_gets_in_for_good():
    """Every Monday the recipe in use is trained anew, and from the third on another one too."""
    rows = world(11, users=3000)
    champion, story = champion_of(rows), []
    for week in range(1, WEEKS - TRAINED):
        for recipe in ("old", "better") if week >= 3 else ("old",):
            alias, _ = verdict(rows, recipe, week=TRAINED + week, champion=champion)
            if alias == CHAMPION:
                champion = champion_of(rows, recipe, week=TRAINED + week)
                story.append((week, recipe))
    since = min(week for week, recipe in story if recipe == "better")
    assert since <= 5
    fresh = [(week, "old") for week in range(1, since + 1)]
    assert story == fresh + [(week, "better") for week in range(since, WEEKS - TRAINED)]


@pytest.mark.parametrize("ahead", range(6))
def test_whoever_is_tested_later_is_compared_on_two_dates_or_more(ahead):
    rows = world(1)
    champion = champion_of(rows)
    new = deployed_backtest(trained(rows, "equal", week=TRAINED + ahead))
    shared = shared_rows(new, champion)
    weeks = (shared["time"] - pd.Timestamp(FIRST)).dt.days // 7
    # Labels of the week after the training look at days that the champion knows already.
    expected = {TRAINED + week for week in range(ahead - ORIGINS + 1, ahead + 1)} - {TRAINED + 1}
    assert set(weeks) == expected
    counts = new[pd.to_datetime(new["time"]).isin(shared["time"])]
    assert len(shared) == len(counts)


def test_a_changed_label_changes_nothing_in_who_is_compared_on_what():
    rows = world(2)
    champion = champion_of(rows)
    new = deployed_backtest(trained(rows, "better", week=TRAINED + 1))
    before = shared_rows(new, champion)
    place = new.index[(new["y"] == 1) & new["user"].isin(champion.backtest["user"])][0]
    after = shared_rows(new.assign(y=new["y"].where(new.index != place, 0)), champion)
    assert after.drop(columns="y").equals(before.drop(columns="y"))
    assert (after["y"] != before["y"]).sum() == 1


def test_users_of_another_log_who_are_named_alike_are_predicted_and_not_looked_up():
    rows, other = world(3), world(4)
    champion = replace(champion_of(rows), predict=lambda keys: np.full(len(keys), 0.123))
    new = deployed_backtest(trained(other, "equal", week=TRAINED))
    shared = shared_rows(new, champion)
    assert len(shared) == len(new)
    assert (shared["old"] == 0.123).all()


@pytest.mark.parametrize("alike", [0, 1])
def test_a_log_of_other_users_is_news_to_the_recipe_in_use_whatever_its_dates(alike):
    """One's own events after a simulated log, whose last date is the same; a name or none alike."""
    rows, own = world(3), world(0)
    named = sorted(own["user"].unique())[:alike]
    own["user"] = own["user"].where(own["user"].isin(named), "x" + own["user"])
    told = champion_of(own, "equal").predict
    champion = replace(champion_of(rows), predict=told)
    for week in (TRAINED - 1, TRAINED):
        alias, why = verdict(own, "old", week=week, champion=champion)
        assert alias == CHAMPION
        assert why.startswith("It is the recipe of version 1 on other data, and not clearly worse")
    assert verdict(own, "old", week=TRAINED, champion=champion, name="new")[0] == CHALLENGER


@pytest.mark.parametrize(("churned", "who"), [(0, "nobody"), (1, "everybody")])
def test_rows_that_all_ended_alike_tell_nothing_of_two_models(churned, who):
    rows = world(0)
    rows["y"] = rows["y"].where(rows["week"] < TRAINED, churned)
    rows["bold"] = rows["old"] / 2 if churned == 0 else 1 - (1 - rows["old"]) / 2
    for name, alias in (("bold", CHALLENGER), ("old", CHAMPION)):
        champion = champion_of(rows)
        found, why = verdict(rows, "bold", week=TRAINED + 4, champion=champion, name=name)
        assert found == alias
        assert f"{who} churned in the " in why


def test_rows_that_the_champion_cannot_predict_are_left_out_of_the_comparison():
    rows = world(5)
    champion = replace(champion_of(rows), predict=lambda keys: np.full(len(keys), np.nan))
    for name in ("old", "another"):
        alias, why = verdict(rows, "equal", week=TRAINED + 5, champion=champion, name=name)
        assert alias == (CHALLENGER if name == "another" else CHAMPION)
        assert "no row yet" in why


def test_without_dates_new_users_are_predicted_and_known_ones_are_looked_up():
    rows = world(6)
    rows = rows[rows["week"] == TRAINED].assign(time=None)
    first, second = rows[:300], rows[100:]
    told = deployed_backtest(trained(first, "old", week=TRAINED))
    champion = replace(
        champion_of(rows.assign(time="2018-10-01")),
        backtest=told,
        learned_until=None,
        predict=lambda keys: np.full(len(keys), 0.123),
    )
    shared = shared_rows(deployed_backtest(trained(second, "equal", week=TRAINED)), champion)
    known = shared["user"].isin(first["user"])
    assert len(shared) == len(second) and known.sum() == 200
    assert (shared.loc[~known, "old"] == 0.123).all()
    assert shared.loc[known, "old"].tolist() == first["old"][100:].tolist()


def test_the_first_champion_is_proven_or_says_that_it_is_not():
    rows = world(7)
    for skill, alias, words in (
        (SKILLED, CHAMPION, "It beats the base rate by 0.0200 (0.0100 to 0.0300)"),
        (replace(SKILLED, ci_low=-0.001), CHAMPION, "It is unproven: the 95 % interval of its"),
        (replace(SKILLED, ci_low=-0.001), CHAMPION, "times as many users will show it"),
        (replace(SKILLED, value=-0.001, ci_low=-0.01), CHALLENGER, "does not beat the base rate"),
    ):
        result = trained(rows, "old", week=TRAINED, skill=skill)
        found, why = decide(result, recipe="any", champion=None, draws=50, seed=0)
        assert found == alias
        assert words in why
        assert ("beats the base rate" in why) == (skill.ci_low > 0)


def test_whoever_does_not_beat_the_base_rate_replaces_nobody():
    rows = world(8)
    result = trained(rows, "better", week=TRAINED + 3, skill=replace(SKILLED, value=-0.001))
    for champion in (champion_of(rows), replace(champion_of(rows), misfit="It cannot score.")):
        found, _ = decide(result, recipe=champion.recipe, champion=champion, draws=50, seed=0)
        assert found == CHALLENGER


def test_a_champion_that_does_not_fit_the_table_is_replaced():
    rows = world(9)
    champion = replace(champion_of(rows, "better"), misfit="The table lacks a column.")
    alias, why = verdict(rows, "worse", week=TRAINED, champion=champion)
    assert alias == CHAMPION
    assert why.startswith("It replaces version 1. The table lacks a column. It beats the base rate")


def test_a_table_that_lost_a_column_does_not_put_a_worse_model_in_use():
    rows = world(9, users=1500)
    champion = replace(
        champion_of(rows, "better"), misfit="The table lacks a column.", lacks_columns=True
    )
    alias, why = verdict(rows, "worse", week=TRAINED, champion=champion)
    assert alias == CHALLENGER
    assert "It is clearly worse than version 1 was on the same" in why
    assert "The table lacks a column. Mend the table, or promote" in why
    assert verdict(rows, "better", week=TRAINED, champion=champion)[0] == CHAMPION
    others = rows.assign(user="other " + rows["user"])
    assert verdict(others, "worse", week=TRAINED, champion=champion)[0] == CHAMPION


def test_the_same_recipe_on_the_same_data_changes_nothing():
    rows = world(10)
    alias, why = verdict(rows, "old", week=TRAINED, champion=champion_of(rows))
    assert alias == CHALLENGER
    assert "It is not clearly better than version 1 on the same" in why


@pytest.mark.parametrize("share", [0.3, 1.0])
def test_a_history_that_was_put_right_is_news_to_the_recipe_in_use(share):
    """Of a part of the users, or of those who churned, more is known on the same dates."""
    rows = world(12, users=3000)
    late = rows.assign(y=rows["y"].where(rows["user"].str[-1] > "3", 0))
    known = late[late["user"].str[1:].astype(int) < share * 3000]
    champion = replace(
        champion_of(rows), backtest=deployed_backtest(trained(known, "old", week=TRAINED))
    )
    assert verdict(rows, "old", week=TRAINED, champion=champion)[0] == CHAMPION
    assert verdict(rows, "old", week=TRAINED, champion=champion, name="new")[0] == CHALLENGER
    # Who knows less has no news.
    whole = champion_of(rows)
    fewer = rows[rows["user"].str[1:].astype(int) < 900]
    assert verdict(fewer, "old", week=TRAINED, champion=whole)[0] == CHALLENGER


def test_a_row_that_says_something_else_now_is_not_looked_up():
    """Without dates the same users come again with other features, and the labels of now."""
    rows = world(13, users=3000)
    rows = rows[rows["week"] == TRAINED].assign(time=None)
    champion = replace(
        champion_of(rows.assign(time="2018-10-01"), "equal"),
        backtest=deployed_backtest(trained(rows.assign(equal=0.5), "equal", week=TRAINED)),
        learned_until=None,
        hashes=lambda keys: np.full(len(keys), 17),
    )
    alias, why = verdict(rows, "worse", week=TRAINED, champion=champion)
    assert (alias, "no row yet to compare" in why) == (CHALLENGER, True)
    alias, why = verdict(rows, "worse", week=TRAINED, champion=replace(champion, hashes=None))
    assert alias == CHAMPION
    # An earlier backtest has no hashes.
    older = replace(champion, backtest=champion.backtest.drop(columns="row"))
    assert len(shared_rows(deployed_backtest(trained(rows, "old", week=TRAINED)), older)) == len(
        rows
    )


def test_what_was_taken_out_of_use_by_hand_comes_back_with_news_alone():
    rows = world(14, users=3000)
    chosen, gone = champion_of(rows, week=TRAINED - 2), champion_of(rows, week=TRAINED)
    gone = replace(gone, version=2)

    def again(week: int):
        result = trained(rows, "old", week=week)
        return decide(result, recipe="old", champion=chosen, draws=200, seed=0, rejected=[gone])

    alias, why = again(TRAINED)
    assert alias == CHALLENGER
    assert why == (
        "It is version 2 over again, of the same recipe and data, in place of which version 1 was "
        "chosen by hand."
    )
    assert again(TRAINED + 1)[0] == CHAMPION
    by_others = replace(gone, is_of_other_code=True)
    result = trained(rows, "old", week=TRAINED)
    asked = {"recipe": "old", "champion": chosen, "draws": 200, "seed": 0}
    assert decide(result, **asked, rejected=[by_others])[0] == CHAMPION
    # The log of others, whatever its dates.
    others = trained(rows.assign(user="other-" + rows["user"].astype(str)), "old", week=TRAINED)
    alias, why = decide(others, recipe="old", champion=chosen, draws=200, seed=0, rejected=[gone])
    assert "over again" not in why


def test_of_the_history_those_are_rejected_that_a_choice_by_hand_replaced():
    history = [Reign(version, "", "trained") for version in (1, 2, 3)]
    assert rejected([]) == rejected(history) == []
    history.append(Reign(2, "", "rolled back"))
    assert rejected(history) == [3]
    history.append(Reign(1, "", "rolled back"))
    assert rejected(history) == [3, 2]
    assert rejected([*history, Reign(4, "", "trained")]) == []
    assert rejected([Reign(1, "", "promoted")]) == []


def test_a_recipe_is_told_by_what_it_is_offered_and_not_by_what_the_data_make_of_it():
    card = {
        "candidate": "stack",
        "features": [{"name": "song_count", "type": "int", "kind": "numeric"}],
        "offered": ["advert_count", "song_count"],
        "grids": {"gbt": {"maxDepth": [2, 4]}},
        "options": {"models": ("gbt",), "folds": 3, "stable_only": False, "seed": 1},
        "points": {"gbt": {"maxDepth": 2}},
        "spec": {"core": ["song_count"]},
    }
    both = [*card["features"], {"name": "advert_count", "type": "int", "kind": "numeric"}]
    newer = {"features": both, "candidate": "gbt", "points": {"gbt": {"maxDepth": 4}}}
    assert recipe_of(card | newer) == recipe_of(card)
    assert recipe_of(json.loads(json.dumps(card))) == recipe_of(card)
    two = [card | {"options": card["options"] | {"models": m}} for m in (("a", "b"), ("b", "a"))]
    assert recipe_of(two[0]) == recipe_of(two[1]) != recipe_of(card)
    for other in (
        {"spec": card["spec"] | {"exposure": "days", "min_exposure": 7.0}},
        {"spec": {"core": ["advert_count"]}},
        {"offered": ["song_count"]},
        {"options": card["options"] | {"folds": 5}},
        {"grids": {"gbt": {"maxDepth": [2]}}},
    ):
        assert recipe_of(card | other) != recipe_of(card)


def test_an_unproven_gain_says_how_many_more_users_would_prove_it():
    skill = Gain("new", "base_rate", value=0.01, ci_low=-0.005, ci_high=0.02, standard_error=0.01)
    assert users_to_prove(skill) == pytest.approx(1.96**2)
    assert users_to_prove(replace(skill, ci_low=0.001)) is None
    assert users_to_prove(replace(skill, value=-0.01)) is None


def test_a_version_that_was_deleted_is_no_way_back():
    three = [Reign(version, "", "trained") for version in (1, 2, 3)]
    assert previous(three, {1, 2, 3}) == 2
    # Not the one before the present one, and not the present one.
    assert previous(three, {1, 3}) == 1
    assert previous(three, {1, 2}) == 2
    assert previous(three, {3}) is None
    back = [*three, Reign(1, "", "rolled back")]
    assert previous(back, {1, 3}) is None


def test_a_history_with_a_champion_that_retired_can_still_be_read():
    text = (
        '[{"version": 1, "at": "", "how": "trained"}, {"version": 4, "at": "", "how": "trained"},'
        ' {"version": null, "at": "", "how": "retired"}]'
    )
    reigns = read_history(text)
    assert previous(reigns, range(9)) == 4
    assert previous([*reigns, Reign(4, "", "promoted")], range(9)) == 1
    assert previous([], ()) is None


def test_a_roll_back_whose_beginning_is_no_longer_kept_leads_where_it_led():
    reigns = [Reign(4, "", "trained"), Reign(5, "", "trained"), Reign(4, "", "rolled back")]
    reigns += [Reign(6, "", "trained")]
    assert previous(reigns, range(9)) == previous(reigns[1:], range(9)) == 4
