import json
from dataclasses import asdict, replace
from datetime import date
from functools import reduce

import numpy as np
import pandas as pd
import pytest
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from benchmarks.simulator import aggregates
from ml import covariate_shift, training
from ml.covariate_shift import SHIFTED_AUC, find_shift
from ml.drift import Reference, find_drift, find_reference
from ml.errors import TableMismatch
from ml.options import TrainOptions
from ml.preprocessing import find_columns, fit_preparation
from ml.training import TableSpec
from sparkify.simulator import simulate

# Of frequent pages only: the rate of a rare one is 0 for who was seen briefly, so it tells as well.
PAGES = ("next_song", "home", "thumbs_up", "add_playlist")
COUNTS = ["tenure_days", "session_count", "sum_session_length_hours"]
COUNTS += [f"{page}_count" for page in PAGES]
RATES = ["avg_session_length_hours", "gender", "paid"]
RATES += [f"{page}_rate" for page in PAGES]


@pytest.fixture(scope="module")
def until(spark, tmp_path_factory):
    """A function that aggregates the whole history of 225 users up to a date."""
    log = tmp_path_factory.mktemp("simulated") / "log"
    simulate(spark, users=225, seed=1, out=log, start=date(2018, 10, 1), days=126)

    def table(end):
        users = aggregates(log, until=end)[["userId", *COUNTS, *RATES]]
        return spark.createDataFrame(users).coalesce(1)

    return table


@pytest.fixture(scope="module")
def early(until):
    return until(date(2018, 10, 22)).cache()


def test_a_few_rows_to_score_are_all_compared_however_many_were_learned_from(spark, monkeypatch):
    monkeypatch.setattr(covariate_shift, "SAMPLE_ROWS", 100)
    training = spark.range(2_000).selectExpr("cast(id as string) as userId", "id % 7 as songs")
    scoring = training.where("userId < 9")
    found = covariate_shift._both(training, scoring, features(training), user="userId")
    counts = dict(found.groupBy(covariate_shift.LABEL).count().collect())
    assert counts[1.0] == 9 and 20 <= counts[0.0] <= 80


def test_importance_goes_to_the_column_whatever_words_are_in_its_name(spark):
    names = ("embedding", "embedding_vector_1", "a_missing")
    rows = spark.range(400).selectExpr(
        "cast(id as string) as userId", *(f"if(id % 5 = 0, null, id % 3) as {n}" for n in names)
    )
    other = rows.selectExpr("userId", "0 as embedding", "embedding_vector_1", "a_missing")
    both = covariate_shift._both(rows, other, features(rows), user="userId")
    _, found = covariate_shift._tell_apart(
        both,
        features(rows),
        fit_preparation(both, features(rows), scaled=False),
        user="userId",
        draws=10,
        seed=0,
    )
    assert [*found.index][0] == "embedding" and set(found.index) == {*names}


def features(table, user="userId"):
    return find_columns(table, ignore=(user,))


@pytest.fixture(scope="module")
def grown(until, early):
    """What stable-only training keeps, and why: learned from 3 weeks of history, scored on 18."""
    spec = TableSpec(id="userId", label="churn")
    options = TrainOptions(stable_only=True, seed=1)
    return training.compare(early, until(date(2019, 2, 4)), features(early), spec, options)


def test_counts_that_grow_with_the_time_observed_are_named_and_first(grown):
    """Rates may follow: over a short history they are noisy, which tells a little too."""
    _, found = grown
    named = found.columns.set_index("column")["round"].dropna()
    assert set(COUNTS) <= set(found.unstable) == set(named.index)
    assert set(named.index[named == 1]) <= set(COUNTS)
    assert not {"gender", "paid"} & set(found.unstable)
    assert found.ci_low > 0.8
    assert found.auc_without < 0.75
    assert "Rows to score differ" in found.summary
    assert "mostly by tenure_days (" in found.summary


def test_stable_only_leaves_out_what_is_named_and_says_so(grown):
    columns, found = grown
    assert {*columns.names, *found.unstable} == {*COUNTS, *RATES}
    assert {name for name, _ in columns.dropped} == set(found.unstable)
    assert columns.notes == (found.summary,) and found.is_unusual


def test_a_difference_that_the_backtest_lived_through_too_is_no_warning(until, early, grown):
    """Between dates users are seen for longer: that alone makes a model no worse than measured."""
    past = [
        ("2018-10-29", early, until(date(2018, 10, 29))),
        ("then", early, until(date(2019, 2, 4))),
    ]
    columns, found = training.compare(
        early,
        until(date(2019, 1, 7)),
        features(early),
        TableSpec(id="userId", label="churn"),
        TrainOptions(seed=1),
        past=past,
    )
    assert found.ci_low > SHIFTED_AUC and found.past["then"] > found.past["2018-10-29"]
    assert not found.is_unusual and columns.notes == () and found.unstable == ()
    assert "as it does the dates of the backtest (" in found.summary
    dates = reduce(
        DataFrame.unionByName,
        [rows.withColumn("then", F.lit(name)) for name, _, rows in (("", None, early), *past)],
    )
    splits = [(name, F.col("then") == "", F.col("then") == name) for name, *_ in past]
    lived = find_reference(dates, columns, user="userId", past=splits).past
    kept = replace(find_reference(early, columns, user="userId"), past=lived)
    drifted = find_drift(kept, until(date(2019, 1, 7)), columns, user="userId")
    alone = find_drift(replace(kept, past={}), until(date(2019, 1, 7)), columns, user="userId")
    assert set(COUNTS) <= set(alone.loc[alone["is_drifted"], "column"])
    assert not set(COUNTS) & set(drifted.loc[drifted["is_drifted"], "column"])


def test_the_shares_of_all_columns_add_up_and_those_named_lead(grown):
    columns = grown[1].columns
    assert columns["share"].sum() == pytest.approx(1)
    assert sorted(columns["column"]) == sorted(COUNTS + RATES)
    assert columns.loc[columns["column"].isin(COUNTS), "share"].sum() > 0.8


def test_users_of_the_same_day_are_not_told_apart(early):
    halves = early.randomSplit([0.5, 0.5], seed=2)
    found = find_shift(*halves, features(early), user="userId", seed=1)

    assert found.unstable == ()
    assert found.ci_low < 0.5 + 0.05
    assert found.auc == found.auc_without
    assert "look like training rows" in found.summary


def test_a_table_that_lacks_a_column_or_rows_is_refused(early):
    with pytest.raises(TableMismatch, match="no column `home_count`.*--exclude"):
        find_shift(early, early.drop("home_count"), features(early), user="userId")
    with pytest.raises(TableMismatch, match="no rows"):
        find_shift(early, early.limit(0), features(early), user="userId")


def drift(training, scoring):
    """Found by what a card keeps of the rows learned from, which are gone by then."""
    columns = features(training, "user_id")
    kept = json.dumps(asdict(find_reference(training, columns, user="user_id")))
    return find_drift(Reference(**json.loads(kept)), scoring, columns, user="user_id")


def test_drift_of_a_feature_is_named_and_noise_of_few_users_is_not(spark):
    """40 columns of noise at 112 users each: the rule of thumb would name many.

    The one that moved has the name of what deciles are called in SQL.
    """
    generator = np.random.default_rng(5)
    first = pd.DataFrame(generator.normal(size=(112, 40)), columns=[f"n{i}" for i in range(40)])
    second = pd.DataFrame(generator.normal(size=(112, 40)), columns=first.columns)
    first["Edge"], second["Edge"] = generator.normal(size=112), generator.normal(size=112) + 1
    tables = [
        spark.createDataFrame(each.assign(user_id=range(112))).coalesce(1)
        for each in (first, second)
    ]
    found = drift(*tables).set_index("column")

    assert (found["psi"].drop("Edge") > 0.1).sum() > 10
    assert found.index[found["is_drifted"]].tolist() == ["Edge"]
    assert found.loc["Edge", "psi"] > found.loc["Edge", "psi_bound"]


@pytest.mark.parametrize(("moved", "is_drifted"), [(0, False), (3, True)])
def test_few_users_are_compared_by_wider_bins(spark, moved, is_drifted):
    generator = np.random.default_rng(8)
    first = pd.DataFrame({"user_id": range(400), "x": generator.normal(size=400)})
    second = pd.DataFrame({"user_id": range(20), "x": generator.normal(size=20) + moved})
    found = drift(*(spark.createDataFrame(each).coalesce(1) for each in (first, second)))
    assert found["is_drifted"].tolist() == [is_drifted]
    assert found.loc[0, "psi"] > 0


@pytest.mark.parametrize(
    ("learned", "scored"),
    [
        # What was rare among very many rows is not where a quarter of few rows have it.
        ([0.0] * 1980 + [5.0] * 20, [0.0] * 120 + [5.0] * 40),
        ([0.0] * 1500 + [1.0, 2.0, 3.0] * 100, [0.0] * 82 + [None] * 50 + [1.0, 2.0, 3.0] * 6),
        ([1.0, 2.0] * 900, [None] * 100 + [1.0, 2.0] * 30),
    ],
)
def test_what_few_rows_have_and_many_had_not_has_drifted(spark, learned, scored):
    tables = [
        spark.createDataFrame(list(enumerate(values)), "user_id int, x double").coalesce(1)
        for values in (learned, scored)
    ]
    assert drift(*tables)["is_drifted"].tolist() == [True]


def test_repeated_rows_of_a_user_make_no_drift_significant(spark):
    generator = np.random.default_rng(6)
    tables = []
    for _ in range(2):
        once = pd.DataFrame({"user_id": range(60), "x": generator.normal(size=60)})
        tables.append(spark.createDataFrame(pd.concat([once] * 8)).coalesce(1))
    found = drift(*tables)

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
    found = drift(*tables).set_index("column")

    assert found["is_drifted"].to_dict() == {"platform": True, "rate": True, "state": False}
    assert found.loc["state", "psi"] == 0
