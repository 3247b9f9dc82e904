from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from pyspark.ml import PipelineModel
from pyspark.ml.classification import DecisionTreeClassifier
from pyspark.sql import functions as F
from sklearn.metrics import log_loss, roc_auc_score

from ml import tuning
from ml.explaining import contributions, families
from ml.options import TrainOptions
from ml.preprocessing import FEATURES, Columns, find_columns, typical_row
from ml.protocol import FOLD, LABEL
from ml.scoring import DeployedModel
from ml.stacking import (
    AVERAGE,
    LOG_ODDS,
    PROBABILITY,
    STACK,
    candidates,
    deployed,
    fit,
    margins,
    refit,
)
from ml.tuning import LEARNERS, Learner, Shape
from sparkify.cli import cli

KEYS = ("user_id", "week")


@pytest.fixture(scope="module")
def rows(spark):
    """60 users in 3 weeks; who gives more thumbs down churns more often."""
    generator = np.random.default_rng(5)
    data = []
    for user in range(60):
        sadness = generator.normal()
        for week in range(3):
            label = float(generator.random() < 1 / (1 + np.exp(1 - 1.5 * sadness)))
            thumbs = None if user % 9 == 0 else float(generator.poisson(np.exp(1 + sadness)))
            songs = int(generator.poisson(np.exp(2 - 0.5 * sadness)))
            platform = ["mac", "ios"][user % 2]
            data.append((f"u{user}", week, label, thumbs, songs, user % 3 == 0, platform))
    schema = (
        f"user_id string, week int, {LABEL} double, thumbs_down double, songs int, "
        "is_paid boolean, platform string"
    )
    return spark.createDataFrame(data, schema).coalesce(1).cache()


@pytest.fixture(scope="module")
def columns(rows):
    return find_columns(rows, ignore=(*KEYS, LABEL))


@pytest.fixture(scope="module")
def fitted(rows, columns):
    """All seven learners; two points for the logistic regression, one for each other."""
    points = {name: learner.points(columns)[:1] for name, learner in LEARNERS.items()}
    points["logistic_regression"] = [{"regParam": 10.0}, {"regParam": 0.01}]
    return fit(
        rows,
        columns,
        keys=KEYS,
        learners=list(LEARNERS.values()),
        points=points,
        folds=2,
        count=180,
        seed=1,
        parallelism=2,
    )


def log_odds(model, rows):
    """The model's log-odds and probability for each row, by key."""
    scored = model.transform(rows).select(*KEYS, LOG_ODDS, PROBABILITY).toPandas()
    return scored.set_index(list(KEYS)).sort_index()


@pytest.mark.long
def test_a_base_never_predicts_a_row_of_a_user_that_it_saw(rows, fitted):
    oof = fitted.out_of_fold
    fold_of = dict(zip(oof["user_id"], oof[FOLD], strict=True))
    assert len(oof) == 180
    assert oof.groupby("user_id")[FOLD].nunique().max() == 1
    prepared = fitted.preparation.transform(rows)
    estimator = LEARNERS["logistic_regression"].make(None, 1).setRegParam(0.01)
    for fold in (0, 1):
        others = [user for user, its in fold_of.items() if its != fold]
        alone = estimator.fit(prepared.filter(prepared["user_id"].isin(others)))
        own = oof[oof[FOLD] == fold].set_index(list(KEYS))["logistic_regression"]
        scored = alone.transform(prepared.filter(~prepared["user_id"].isin(others)))
        name = alone.getProbabilityCol()
        for row in scored.collect():
            p = row[name][1]
            odds = own[(row["user_id"], row["week"])]
            assert odds == pytest.approx(np.log(p / (1 - p)), abs=1e-6)


def test_labels_that_only_seeing_a_user_could_tell_are_not_told_out_of_fold(spark):
    """Each user has a label by lot in all weeks: rows of the same user would give it away.

    Nor are they after a fit to later rows, in which ten users are new.
    """
    generator = np.random.default_rng(8)
    lots = generator.permutation([0.0, 1.0] * 35).tolist()
    data = [(f"u{u}", week, lots[u], u, float(u % 7)) for u in range(70) for week in range(3)]
    table = spark.createDataFrame(
        data, f"user_id string, week int, {LABEL} double, number int, songs double"
    )
    columns = find_columns(table, ignore=(*KEYS, LABEL))
    settings = {"keys": KEYS, "folds": 3, "count": 180, "seed": 1, "parallelism": 1}
    first = fit(
        table.filter("number < 60 and week < 2"),
        columns,
        learners=[LEARNERS["random_forest"]],
        points={"random_forest": [{"maxDepth": 10, "numTrees": 20, "minInstancesPerNode": 1}]},
        **settings,
    )
    later = refit(first, table, columns, **settings)

    assert (len(first.out_of_fold), len(later.out_of_fold)) == (120, 210)
    assert first.base_rate == pytest.approx(np.mean(lots[:60]))
    assert later.base_rate == 0.5
    seen = margins(table, later, keys=KEYS)
    assert roc_auc_score(seen[LABEL], seen["random_forest"]) > 0.95
    for unseen in (first.out_of_fold, later.out_of_fold):
        assert roc_auc_score(unseen[LABEL], unseen["random_forest"]) < 0.65
    folds = pd.concat([first.out_of_fold, later.out_of_fold]).groupby("user_id")[FOLD].nunique()
    assert folds.max() == 1


def test_of_very_many_rows_folds_are_of_some_users_and_models_learn_from_all(
    rows, columns, monkeypatch
):
    monkeypatch.setattr("ml.stacking.FOLD_ROWS", 90)
    monkeypatch.setattr("ml.stacking.FOLD_POSITIVES", 20)
    learner = LEARNERS["logistic_regression"]
    sampled = fit(
        rows,
        columns,
        keys=KEYS,
        learners=[learner],
        points={learner.name: [{"regParam": 0.01}, {"regParam": 10.0}]},
        folds=2,
        count=180,
        seed=1,
        parallelism=1,
    )
    oof = sampled.out_of_fold

    assert 0 < len(oof) < 150
    assert set(oof.groupby("user_id").size()) == {3}
    assert set(oof[FOLD]) == {0, 1}
    assert sampled.base_rate == pytest.approx(rows.toPandas()[LABEL].mean())
    estimator, grid = tuning.grid_of(
        learner, sampled.points[learner.name], shape=Shape(180, 0), seed=1
    )
    whole = estimator.fit(sampled.preparation.transform(rows), grid[0])
    found = sampled.bases[learner.name].model.coefficients.toArray()
    assert found == pytest.approx(whole.coefficients.toArray(), abs=1e-6)


def test_every_learner_has_a_grid_to_choose_from():
    assert all(len(learner.points(Columns(()))) > 1 for learner in LEARNERS.values())


def test_one_entry_adds_a_learner_to_whatever_is_made_of_learners(rows, columns, monkeypatch):
    def make(shape: Shape, seed: int) -> DecisionTreeClassifier:
        names = tuning.columns("decision_tree")
        return DecisionTreeClassifier(
            featuresCol=FEATURES, labelCol=LABEL, minInstancesPerNode=5, seed=seed, **names
        )

    added = Learner("decision_tree", make, {"maxDepth": (1, 2)}, jobs=10)
    monkeypatch.setitem(LEARNERS, "decision_tree", added)
    assert "decision_tree" in CliRunner().invoke(cli, ["train", "-h"]).output
    assert TrainOptions(models=("decision_tree",)).models == ("decision_tree",)
    found = fit(
        rows,
        columns,
        keys=KEYS,
        learners=[LEARNERS["logistic_regression"], added],
        points={"decision_tree": added.points(columns), "logistic_regression": [{"regParam": 0.1}]},
        folds=2,
        count=180,
        seed=1,
        parallelism=2,
    )
    assert set(found.meta_weights) == {"intercept", "logistic_regression", "decision_tree"}
    for name in ("decision_tree", STACK):
        assert log_odds(deployed(found, name), rows)[PROBABILITY].nunique() > 1


def test_every_folds_score_is_kept_and_the_best_point_is_chosen(fitted):
    scores = fitted.scores[fitted.scores["learner"] == "logistic_regression"]
    mean = scores.groupby(["point", "chosen"])["log_loss"].mean().reset_index("chosen")

    assert len(scores) == 2 * 2
    assert mean["chosen"].idxmax() == mean["log_loss"].idxmin() == "{'regParam': 0.01}"
    assert fitted.points["logistic_regression"] == [{"regParam": 0.01}]
    oof = fitted.out_of_fold
    first = oof[oof[FOLD] == 0]
    expected = log_loss(first[LABEL], 1 / (1 + np.exp(-first["logistic_regression"])))
    kept = scores[scores["chosen"] & (scores["fold"] == 0)]["log_loss"].item()
    assert kept == pytest.approx(expected)


def test_a_search_ends_with_the_first_point_that_is_worse(rows, columns):
    """A smaller penalty is better: every one of a falling grid is tried, two of a rising one."""
    learner = LEARNERS["logistic_regression"]
    tried = {}
    for name, grid in (("falling", (1000.0, 10.0, 1.0)), ("rising", (0.03, 10.0, 1000.0))):
        found = fit(
            rows,
            columns,
            keys=KEYS,
            learners=[learner],
            points={learner.name: [{"regParam": value} for value in grid]},
            folds=2,
            count=180,
            seed=1,
            parallelism=1,
        )
        tried[name] = found.scores["point"].nunique()
        assert found.out_of_fold.columns.tolist() == [*KEYS, LABEL, FOLD, learner.name]

    assert tried == {"falling": 3, "rising": 2}


def test_on_few_rows_trees_are_not_tuned(columns):
    for name in ("random_forest", "gradient_boosted_trees"):
        points = LEARNERS[name].points(columns)
        assert LEARNERS[name].worth_trying(points, Shape(rows=1_500, width=80)) == [points[:1]]
        assert LEARNERS[name].worth_trying(points, Shape(rows=30_000, width=80)) == [points]


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        (("thumbs_down", "songs"), "core"),
        (("noise",), "all"),
    ],
)
def test_all_columns_are_learned_from_only_if_they_do_clearly_better(rows, columns, names, chosen):
    noisy = rows.withColumn("noise", F.rand(1))
    found = fit(
        noisy,
        replace(find_columns(noisy, ignore=[*KEYS, LABEL]), core=names),
        keys=KEYS,
        learners=[LEARNERS["logistic_regression"]],
        points={
            "logistic_regression": [
                {"columns": which, "regParam": value}
                for which in ("core", "all")
                for value in (1.0, 0.01)
            ]
        },
        folds=2,
        count=180,
        seed=1,
        parallelism=1,
    )
    assert found.points["logistic_regression"][0]["columns"] == chosen
    assert found.scores.groupby("point").ngroups == 4


def test_the_stack_has_no_negative_weight_and_one_for_each_learner(fitted):
    weights = fitted.meta_weights

    assert list(weights) == ["intercept", *LEARNERS]
    assert all(weight >= 0 for name, weight in weights.items() if name != "intercept")
    assert any(weight > 0 for name, weight in weights.items() if name != "intercept")


def test_the_stack_pipeline_reloads_and_equals_a_manual_computation(rows, fitted, tmp_path):
    made = deployed(fitted, STACK)
    made.write().save(str(tmp_path / "stack"))
    loaded = PipelineModel.load(str(tmp_path / "stack"))

    assert all(type(stage).__module__.startswith("pyspark.ml") for stage in loaded.stages)
    table = margins(rows, fitted, keys=KEYS)
    table[STACK] = candidates(table, fitted)[STACK]
    manual = table.set_index(list(KEYS)).sort_index()[STACK]
    for model in (made, loaded):
        found = log_odds(model, rows)
        assert found[PROBABILITY].to_numpy() == pytest.approx(manual.to_numpy(), abs=1e-9)
        sigmoid = 1 / (1 + np.exp(-found[LOG_ODDS].to_numpy()))
        assert sigmoid == pytest.approx(found[PROBABILITY].to_numpy(), abs=1e-12)


def test_single_and_average_pipelines_equal_a_manual_computation(rows, fitted):
    table = margins(rows, fitted, keys=KEYS)
    by_hand = candidates(table, fitted)
    for name in ("random_forest", AVERAGE):
        made = deployed(fitted, name)
        table["manual"] = by_hand[name]
        manual = table.set_index(list(KEYS)).sort_index()["manual"]
        found = log_odds(made, rows)[PROBABILITY]
        assert found.to_numpy() == pytest.approx(manual.to_numpy(), abs=1e-9)


@pytest.fixture(scope="module")
def explainable(rows, columns):
    """All that an explanation needs beside a pipeline."""
    return {
        "features": columns.features,
        "typical": typical_row(rows, columns),
        "families": families(columns.names),
        "name": "test",
        "version": 1,
    }


@pytest.mark.parametrize("name", [*LEARNERS, AVERAGE, STACK])
def test_the_contributions_to_the_score_of_any_candidate_add_up_to_it(
    rows, fitted, explainable, name
):
    made = deployed(fitted, name)
    few = rows.filter("user_id rlike '^u[0-9]$'")
    found = contributions(few, DeployedModel(pipeline=made, **explainable), keys=KEYS)
    found = found.toPandas().set_index(list(KEYS)).sort_index()
    added = found["base"] + found["contributions"].map(lambda each: sum(each.values()))

    assert added.to_numpy() == pytest.approx(log_odds(made, few)[LOG_ODDS].to_numpy(), abs=1e-6)
    assert added.nunique() > 1


def test_every_candidate_expects_as_many_churners_as_there_are_among_unseen_users(fitted):
    y = fitted.out_of_fold[LABEL]
    for name, p in candidates(fitted.out_of_fold, fitted).items():
        assert p.sum() == pytest.approx(y.sum(), abs=2), name
    trees = 1 / (1 + np.exp(-fitted.out_of_fold["gradient_boosted_trees"]))
    found = candidates(fitted.out_of_fold, fitted)["gradient_boosted_trees"]
    assert log_loss(y, found) < log_loss(y, trees)
