import numpy as np
import pandas as pd
import pytest

from ml.drift import false_discovery_rate, find_drift
from ml.errors import TableMismatch
from ml.preprocessing import find_columns
from ml.shift import find_shift

COUNTS = ["song_count", "thumbs_up_count", "session_count"]
RATES = ["song_per_session", "thumbs_up_per_song", "platform", "is_paid"]


def whole_history(days, *, users, seed):
    """Counts of every user since their first day, up to day `days`, and rates that do not grow."""
    habits = np.random.default_rng(0)
    daily = habits.gamma(4, 1, users)
    length = habits.gamma(8, 2, users)
    liking = habits.beta(3, 40, users)
    generator = np.random.default_rng(seed)
    sessions = 1 + generator.poisson(daily * days / 4)
    songs = 1 + generator.poisson(sessions * length)
    return pd.DataFrame(
        {
            "user_id": [f"u{i}" for i in range(users)],
            "song_count": songs,
            "thumbs_up_count": generator.binomial(songs, liking),
            "session_count": sessions,
            "song_per_session": songs / sessions,
            "thumbs_up_per_song": generator.beta(3, 40, users),
            "platform": generator.choice(["mac", "ios", "web"], users),
            "is_paid": generator.random(users) < 0.4,
        }
    )


@pytest.fixture(scope="module")
def at_day(spark):
    """A function that makes the table of whole-history counts up to a day."""

    def table(days, *, users=400, seed=1):
        return spark.createDataFrame(whole_history(days, users=users, seed=seed)).coalesce(1)

    return table


def features(table):
    return find_columns(table, ignore=("user_id",))


@pytest.fixture(scope="module")
def grown(at_day):
    """Training rows hold 30 days of history, rows to score 60."""
    training, scoring = at_day(30), at_day(60, seed=2)
    return find_shift(training, scoring, features(training), user="user_id", seed=1)


def test_counts_that_grow_with_the_time_observed_are_named_and_rates_are_not(grown):
    assert set(grown.unstable) == set(COUNTS)
    assert grown.ci_low > 0.7
    assert grown.auc_without < 0.6
    assert "Rows to score differ" in grown.summary
    assert all(name in grown.summary for name in COUNTS)


def test_the_shares_of_all_columns_add_up_and_those_named_lead(grown):
    assert grown.columns["share"].sum() == pytest.approx(1)
    assert sorted(grown.columns["column"]) == sorted(COUNTS + RATES)
    named = grown.columns[grown.columns["round"].notna()]
    assert named["share"].sum() > 0.7


def test_tables_of_the_same_day_are_not_told_apart(at_day):
    training = at_day(30)
    found = find_shift(training, at_day(30, seed=3), features(training), user="user_id", seed=1)

    assert found.unstable == ()
    assert found.ci_low < 0.5 + 0.05
    assert found.auc == found.auc_without
    assert "look like training rows" in found.summary


def test_a_table_that_lacks_a_column_or_rows_is_refused(at_day):
    training = at_day(30, users=30)
    with pytest.raises(TableMismatch, match="no column `song_count`.*--exclude"):
        find_shift(training, training.drop("song_count"), features(training), user="user_id")
    with pytest.raises(TableMismatch, match="no rows"):
        find_shift(training, training.limit(0), features(training), user="user_id")


def test_drift_of_a_feature_is_named_and_noise_of_few_users_is_not(spark):
    """40 columns of noise at 112 users each: the rule of thumb would name many."""
    generator = np.random.default_rng(5)
    first = pd.DataFrame(generator.normal(size=(112, 40)), columns=[f"n{i}" for i in range(40)])
    second = pd.DataFrame(generator.normal(size=(112, 40)), columns=first.columns)
    first["moved"], second["moved"] = generator.normal(size=112), generator.normal(size=112) + 1
    tables = [
        spark.createDataFrame(each.assign(user_id=range(112))).coalesce(1)
        for each in (first, second)
    ]
    columns = features(tables[0])
    found = find_drift(*tables, columns, user="user_id").set_index("column")

    assert (found["psi"].drop("moved") > 0.1).sum() > 10
    assert found.index[found["is_drifted"]].tolist() == ["moved"]
    assert found.loc["moved", "psi"] > found.loc["moved", "psi_bound"]


def test_repeated_rows_of_a_user_make_no_drift_significant(spark):
    generator = np.random.default_rng(6)
    tables = []
    for _ in range(2):
        once = pd.DataFrame({"user_id": range(60), "x": generator.normal(size=60)})
        tables.append(spark.createDataFrame(pd.concat([once] * 8)).coalesce(1))
    found = find_drift(*tables, features(tables[0]), user="user_id")

    assert not found["is_drifted"].any()


def test_categories_and_missing_values_drift_too_and_rare_categories_count_together(spark):
    states = [f"S{i}" for i in range(100)]
    first = [
        (i, "web" if i % 2 else "mac", None if i % 4 == 0 else 1.0, states[i % 100])
        for i in range(300)
    ]
    second = [
        (i, "web" if i % 5 else "mac", None if i % 2 == 0 else 1.0, states[-i % 100])
        for i in range(300)
    ]
    schema = "user_id int, platform string, rate double, state string"
    tables = [spark.createDataFrame(rows, schema) for rows in (first, second)]
    found = find_drift(*tables, features(tables[0]), user="user_id").set_index("column")

    assert found["is_drifted"].to_dict() == {"platform": True, "rate": True, "state": False}
    assert found.loc["state", "psi"] == 0


def test_q_values_are_those_of_benjamini_and_hochberg():
    p = np.array([0.01, 0.04, 0.03, 0.5])

    assert false_discovery_rate(p) == pytest.approx([0.04, 0.04 * 4 / 3, 0.04 * 4 / 3, 0.5])
