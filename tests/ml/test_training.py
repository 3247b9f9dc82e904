import datetime as dt
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from pyspark.sql import functions as F

from ml import card, results
from ml.backtest import ALL_ROWS, judged_with
from ml.errors import NotTrainable, TableMismatch
from ml.preprocessing import Columns, Feature
from ml.stacking import AVERAGE, BASE_RATE, PROBABILITY, STACK
from ml.training import TableSpec, TrainOptions, train
from tests.declared import ddl

MONDAYS = [dt.date(2018, 10, 8) + dt.timedelta(weeks=week) for week in range(6)]
SPEC = TableSpec(
    id="user_id", label="is_churned", time="as_of_date", exclude=("days_to_churn",), name="test"
)
OPTIONS = TrainOptions(
    models=("logistic_regression", "naive_bayes"), folds=2, origins=2, draws=100, seed=1
)


@pytest.fixture(scope="module")
def rows(spark):
    """100 users on 6 Mondays; the label of the last is not observed; the unhappy churn."""
    generator = np.random.default_rng(4)
    data = []
    for user in range(100):
        sadness = generator.normal()
        for day in MONDAYS:
            churned = bool(generator.random() < 1 / (1 + np.exp(2 - 2 * sadness)))
            thumbs = int(generator.poisson(np.exp(1 + sadness)))
            label = None if day == MONDAYS[-1] else churned
            data.append((f"u{user}", day, thumbs, user % 2 == 0, 3 if churned else None, label))
    schema = (
        "user_id string, as_of_date date, thumbs_down_count_7d int, is_paid boolean, "
        "days_to_churn int, is_churned boolean"
    )
    return spark.createDataFrame(data, schema).coalesce(1).cache()


@pytest.fixture(scope="module")
def trained(spark, rows):
    """A training, and how many Spark jobs it took."""
    spark.sparkContext.setJobGroup("training", "counted")
    result = train(rows, SPEC, options=OPTIONS, progress=lambda _: None)
    spark.sparkContext.setLocalProperty("spark.jobGroup.id", None)
    return result, len(spark.sparkContext.statusTracker().getJobIdsForGroup("training"))


@pytest.fixture(scope="module")
def result(trained):
    return trained[0]


def quiet_train(rows, spec=SPEC, options=OPTIONS):
    return train(rows, spec, options=options, progress=lambda _: None)


def test_every_candidate_predicts_every_row_of_every_origin_once(result):
    backtest = result.backtest
    names = {BASE_RATE, *OPTIONS.models, AVERAGE, STACK}

    assert set(backtest["candidate"]) == names
    assert set(backtest["time"]) == set(MONDAYS[3:5])
    assert (backtest["time"].astype(str) == backtest["origin"]).all()
    assert not backtest.duplicated(["user", "time", "candidate"]).any()
    assert len(backtest) == 2 * 100 * len(names)


def test_a_training_takes_few_spark_jobs(trained):
    """On few rows a job takes as long as it takes to start: their number is the time."""
    assert 0 < trained[1] < 300


def test_metrics_have_the_columns_of_the_performance_table(result):
    assert list(result.metrics.columns) == [
        "candidate",
        "metric",
        "value",
        "ci_low",
        "ci_high",
        "no_skill",
        "row_count",
        "user_count",
        "churner_count",
    ]
    assert len(result.metrics) == 5 * 11
    assert set(result.metrics["user_count"]) == {100}


def test_real_signal_beats_the_base_rate_and_gains_agree_with_the_metrics(result):
    loss = result.metrics.query("metric == 'log_loss'").set_index("candidate")["value"]

    assert result.skill.ci_low > 0
    assert result.skill.value == pytest.approx(loss[BASE_RATE] - loss[result.candidate])
    best = loss[list(OPTIONS.models)].idxmin()
    assert result.stack_gain.reference == best
    assert result.stack_gain.value == pytest.approx(loss[best] - loss[STACK])


def test_the_result_says_how_the_candidate_was_chosen_and_what_it_would_earn(result):
    choice = result.choice.set_index("candidate")

    assert choice.index[choice["is_chosen"]].tolist() == [result.candidate]
    assert choice.loc[result.candidate, "is_within"]
    assert {"nobody", "everybody", "score above break-even"} < set(result.policies["policy"])
    assert result.profit["share"].tolist() == pytest.approx([i / 100 for i in range(101)])
    emp = result.metrics.set_index(["candidate", "metric"]).loc[
        (result.candidate, "expected_maximum_profit")
    ]
    assert result.maximum_profit.value == pytest.approx(emp["value"], rel=0.01)
    assert emp["value"] >= emp["no_skill"]


def test_the_calibration_table_counts_every_row_of_the_deployed_candidate(result):
    curve = result.calibration.set_index("bin")
    deployed = result.backtest[result.backtest["candidate"] == result.candidate]

    assert curve.loc[0, "row_count"] == curve.loc[1:, "row_count"].sum() == len(deployed)
    assert curve.loc[0, "expected_churners"] == pytest.approx(deployed["p"].sum())


def test_out_of_fold_and_backtest_rows_can_be_appended_to_tables(spark, result):
    oof = results.out_of_fold_table(result, run_id="r1")
    stored = spark.createDataFrame(oof, ddl("out_of_fold")).toPandas()
    backtest = results.backtest_table(result, run_id="r1")

    assert set(stored["model"]) == set(OPTIONS.models)
    assert len(stored) == len(result.out_of_fold) * len(OPTIONS.models)
    assert stored["probability"].between(0, 1).all()
    assert set(stored["fold"]) == {0, 1}
    assert set(stored["run_id"]) == {"r1"}
    again = spark.createDataFrame(backtest, ddl("backtest"))
    assert again.count() == len(result.backtest)


def test_the_weights_of_the_stack_are_readable(spark, result):
    weights = results.weights_table(result, run_id="r1").set_index("model")

    assert list(weights.index) == ["intercept", *OPTIONS.models]
    assert weights["share"].sum() == pytest.approx(1)
    assert weights["weight"].to_dict() == result.meta_weights
    rows = spark.createDataFrame(weights.reset_index(), ddl("stack_weights"))
    assert rows.where("share is null").first()["model"] == "intercept"


def test_the_excluded_column_and_the_keys_are_no_features(result):
    assert [feature.name for feature in result.features] == ["thumbs_down_count_7d", "is_paid"]
    assert set(result.typical) == set(result.offered) == {"thumbs_down_count_7d", "is_paid"}


def test_the_result_says_until_when_it_learned_and_what_drift_is_measured_against(result):
    assert result.learned_until == MONDAYS[4]
    assert set(result.reference.counts) == {"thumbs_down_count_7d", "is_paid"}
    assert all(sum(bins.values()) == 500 for bins in result.reference.counts.values())
    # Five rows a user are worth no more than one.
    assert result.reference.size == 100


def test_the_deployed_pipeline_scores_rows_without_a_label(rows, result):
    now = rows.filter(F.col("as_of_date") == F.lit(MONDAYS[-1])).drop("is_churned")
    scored = result.pipeline.transform(now).select(PROBABILITY).toPandas()[PROBABILITY]

    assert len(scored) == 100
    assert scored.between(0, 1, inclusive="neither").all()


def test_hyperparameters_are_tuned_at_the_first_origin_and_of_the_deployed_one_on_all_rows(result):
    tuned = {split: part for split, part in result.tuning.groupby("split")}
    assert set(tuned) == {str(MONDAYS[3]), ALL_ROWS}
    tried = tuned[str(MONDAYS[3])].groupby(["learner", "point"]).size()
    assert (tried == OPTIONS.folds).all()
    assert set(tried.groupby("learner").size().index) == set(OPTIONS.models)
    assert (tried.groupby("learner").size() >= 2).all()
    deployed = OPTIONS.models if result.candidate in (AVERAGE, STACK) else {result.candidate}
    assert set(tuned[ALL_ROWS]["learner"]) == set(deployed)
    chosen = tuned[ALL_ROWS][tuned[ALL_ROWS]["chosen"]].groupby("learner")["point"].first()
    assert {name: str(result.points[name]) for name in chosen.index} == chosen.to_dict()


def test_little_data_is_given_few_columns_if_they_alone_do_better(rows):
    noise = {f"noise_{i}": F.pmod(F.xxhash64("user_id", F.lit(i)), F.lit(1000)) for i in range(30)}
    core = ("thumbs_down_count_7d",)
    options = replace(OPTIONS, models=("logistic_regression",), origins=1)
    few = quiet_train(rows.withColumns(noise), replace(SPEC, core=core), options)
    assert few.points["logistic_regression"]["columns"] == "core"
    assert few.candidate == "logistic_regression"
    scored = few.pipeline.transform(rows.withColumns(noise)).select(PROBABILITY).distinct()
    assert scored.count() == rows.select(*core).distinct().count()


def test_who_pays_is_known_where_it_is_not_learned_from():
    """As where nobody pays: each of them would be worth what a paying user is."""
    kept = Columns((Feature("days_since_last_active", "int", "numeric"),))
    types = {"days_since_last_active": "int", "is_paid": "boolean"}
    assert judged_with(kept, types, SPEC) == {
        "inactivity": "days_since_last_active",
        "is_paid": "is_paid",
    }
    assert judged_with(Columns(()), types, replace(SPEC, label="is_paid")) == {}
    of_text = types | {"is_paid": "string"}
    assert judged_with(Columns(()), of_text, SPEC) == {"is_paid": "is_paid"}


def test_where_nobody_pays_the_backtest_says_so(rows):
    options = replace(OPTIONS, models=("logistic_regression",), origins=1)
    found = quiet_train(rows.withColumn("is_paid", F.lit(False)), options=options)
    assert [feature.name for feature in found.features] == ["thumbs_down_count_7d"]
    assert found.backtest["is_paid"].eq(False).all()


def test_a_wide_interval_is_said_to_be_wide(result):
    churners = result.metrics["churner_count"].iloc[0]

    assert any(f"only {churners} users churned" in warning for warning in result.warnings)


def test_the_same_seed_gives_the_same_digits_whatever_the_partitions(rows, result):
    again = quiet_train(rows.repartition(3))

    assert again.candidate == result.candidate
    assert again.backtest["p"].tolist() == result.backtest["p"].tolist()
    assert again.metrics.equals(result.metrics)
    assert again.out_of_fold.equals(result.out_of_fold)
    assert card.digest(again) == card.digest(result)


def test_no_prediction_depends_on_a_label_that_was_not_known_at_its_origin(rows, result):
    """The labels of MONDAYS[2] on were open at the first origin, MONDAYS[3], and are falsified."""
    is_open = F.col("as_of_date") >= F.lit(MONDAYS[2])
    label = F.col("is_churned")
    false = quiet_train(rows.withColumn("is_churned", F.when(is_open, ~label).otherwise(label)))
    before, after = (
        each.backtest.set_index(["origin", "candidate", "user"]).sort_index()
        for each in (result, false)
    )
    first, second = map(str, MONDAYS[3:5])

    assert (after["y"] == 1 - before["y"]).all()
    learned = ["p", "flagged"]
    assert after.loc[first, learned].equals(before.loc[first, learned])
    # At the second origin the labels of MONDAYS[2] were known, false as they are.
    for candidate in (*OPTIONS.models, AVERAGE, STACK, BASE_RATE):
        change = after.loc[(second, candidate), "p"] - before.loc[(second, candidate), "p"]
        assert (change != 0).all()


@pytest.fixture(scope="module")
def users(rows):
    """One row a user, the label as 0/1."""
    first = rows.filter(F.col("as_of_date") == F.lit(MONDAYS[0])).drop("as_of_date")
    return first.withColumn("is_churned", F.col("is_churned").cast("int"))


def by_user(users):
    options = replace(OPTIONS, models=("naive_bayes",))
    return quiet_train(users, replace(SPEC, time=None), options)


@pytest.fixture(scope="module")
def crossed(users):
    return by_user(users)


def test_without_a_time_every_user_is_predicted_once_in_stratified_folds(crossed):
    stack = crossed.backtest.query("candidate == 'stack'")

    assert crossed.learned_until is None
    assert sorted(stack["user"]) == sorted(f"u{i}" for i in range(100))
    assert sorted(stack.groupby("origin").size()) == [50, 50]
    assert stack.groupby("origin")["y"].sum().diff().abs().max() <= 1
    assert set(crossed.tuning["split"]) == {"fold 0", "fold 1", "all rows"}


def test_churners_count_by_date_where_a_user_has_several(crossed):
    def unit(*dates):
        return replace(crossed, backtest=pd.DataFrame({"time": dates})).churner_unit

    assert crossed.churner_unit == unit("2018-11-05") == "churners"
    assert unit(MONDAYS[0], MONDAYS[2], MONDAYS[0]) == "churner-weeks"
    assert unit("2018-11-01", "2018-12-01").endswith("on each date")


def test_without_a_time_out_of_fold_rows_have_no_date(spark, crossed):
    oof = results.out_of_fold_table(crossed, run_id="r2")

    rows = spark.createDataFrame(oof, ddl("out_of_fold"))
    assert rows.filter("as_of_date is null").count() == 100


@pytest.mark.parametrize("name", ["folds", "origins", "draws", "parallelism"])
def test_a_number_too_small_to_mean_anything_is_refused(name):
    with pytest.raises(ValueError, match=f"{name} is 0; give"):
        TrainOptions(**{name: 0})


def test_an_unknown_learner_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="no learner oracle; choose among logistic_regression"):
        TrainOptions(models=("naive_bayes", "oracle"))
    with pytest.raises(ValueError, match="models is empty; choose among logistic_regression"):
        TrainOptions(models=())


def test_neither_bases_nor_stack_learn_from_the_users_they_are_evaluated_on(users, crossed):
    """False features of half the users of a fold leave the predictions of the other half alone."""
    before = crossed.backtest.set_index(["candidate", "user"])["p"]
    fold = crossed.backtest.query("candidate == 'stack' and origin == 'fold 0'")["user"].tolist()
    false, true = fold[:25], fold[25:]
    feature = F.col("thumbs_down_count_7d")
    falsified = users.withColumn(
        "thumbs_down_count_7d",
        F.when(F.col("user_id").isin(false), 40 - feature).otherwise(feature),
    )
    after = by_user(falsified).backtest.set_index(["candidate", "user"])["p"]
    others = [user for user in crossed.backtest["user"].unique() if user not in fold]

    for candidate in ("naive_bayes", STACK):
        kept = after[candidate][true].tolist()
        assert kept == pytest.approx(before[candidate][true].tolist(), abs=1e-12)
        assert after[candidate][false].tolist() != before[candidate][false].tolist()
        # The other fold's models did learn from them.
        assert after[candidate][others].tolist() != before[candidate][others].tolist()


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ("is_churned is null", "No row has an observed label yet"),
        ("not is_churned", "None of the .* labelled rows is a churner's.*20 users who churned"),
        ("is_churned", "All .* labelled rows are churners'"),
        ("user_id in ('u1', 'u2', 'u3') or not is_churned", "1 user churned, 20 are needed"),
    ],
)
def test_what_cannot_be_learned_from_is_refused_with_the_count(rows, condition, message):
    with pytest.raises(NotTrainable, match=message):
        quiet_train(rows.filter(condition))


def test_a_table_without_features_is_not_trainable(rows):
    with pytest.raises(NotTrainable, match="No column is left"):
        quiet_train(rows.select("user_id", "as_of_date", "is_churned", "days_to_churn"))
    constant = rows.select(
        "user_id", "as_of_date", "is_churned", "days_to_churn", F.lit(1).alias("one")
    )
    with pytest.raises(NotTrainable, match="`one` is constant"):
        quiet_train(constant)


def test_a_column_that_knows_the_outcome_is_refused_unless_it_is_allowed(rows):
    spec = replace(SPEC, exclude=())
    with pytest.raises(NotTrainable, match="`days_to_churn`.*--exclude days_to_churn"):
        quiet_train(rows, spec)
    with pytest.raises(TableMismatch, match=r"no column `nothing` \(given as allow\)"):
        quiet_train(rows, replace(spec, allow=("nothing",)))


def test_folds_that_would_hold_no_churner_are_refused(users):
    options = replace(OPTIONS, folds=8, min_churners=1)
    few = users.filter("user_id < 'u2' or is_churned = 0")
    with pytest.raises(NotTrainable, match="8 folds need at least 16"):
        quiet_train(few, replace(SPEC, time=None), options)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (replace(SPEC, id="user"), r"no column `user` \(given as id\); did you mean `user_id`"),
        (replace(SPEC, exclude=("nothing",)), r"no column `nothing` \(given as exclude\)"),
        (replace(SPEC, label="user_id", id="is_churned"), "Label `user_id` holds `u"),
        (replace(SPEC, label="thumbs_down_count_7d"), "holds .*; it must be yes/no"),
        (replace(SPEC, time="is_paid"), "Time `is_paid` is boolean; cast it to date"),
        (replace(SPEC, time="user_id"), "must be different columns"),
        (replace(SPEC, time=None), None),
    ],
)
def test_a_table_that_does_not_fit_its_description_is_refused(rows, spec, message):
    if message:
        with pytest.raises(TableMismatch, match=message):
            quiet_train(rows, spec)


def test_stable_only_leaves_out_what_gives_the_rows_to_score_away(rows):
    """A count since the first day, as large as the time observed."""
    day = F.datediff("as_of_date", F.lit(MONDAYS[0]))
    table = rows.withColumn("song_count", 7 * day + F.col("thumbs_down_count_7d"))
    scoring = table.filter(F.col("as_of_date") == F.lit(MONDAYS[-1])).drop("is_churned")
    options = replace(OPTIONS, models=("naive_bayes",), stable_only=True)
    found = train(table, SPEC, options=options, progress=lambda _: None, scoring=scoring)

    assert found.shift.unstable == ("song_count",)
    assert [feature.name for feature in found.features] == ["thumbs_down_count_7d", "is_paid"]
    assert any("mostly by song_count" in warning for warning in found.warnings)
    with pytest.raises(ValueError, match="stable_only compares.*give their table"):
        quiet_train(rows, options=options)


def test_rows_that_repeat_a_user_and_date_are_refused(rows):
    with pytest.raises(TableMismatch, match="rows repeat the `user_id` and `as_of_date`"):
        quiet_train(rows.unionAll(rows))
