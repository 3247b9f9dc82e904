import numpy as np
import pytest
from pyspark.ml.evaluation import MulticlassClassificationEvaluator
from sklearn.metrics import f1_score

from ml.leaky import HONEST, PUBLIC, public_protocol, side_by_side
from ml.stacking import BASE_RATE
from ml.table_spec import TableSpec

SPEC = TableSpec(id="user_id", label="churn")


@pytest.fixture(scope="module")
def histories(spark):
    """Users who churn by lot, and are not seen afterwards: nothing but the time observed tells."""
    generator = np.random.default_rng(3)
    data = []
    for user in range(300):
        churned = int(generator.random() < 0.25)
        days = int(generator.integers(2, 40)) if churned else 60
        songs = int(generator.poisson(20 * days * generator.gamma(4, 0.25)))
        data.append((f"u{user}", churned, songs, ["M", "F"][user % 2]))
    return spark.createDataFrame(
        data, "user_id string, churn int, songs int, gender string"
    ).coalesce(1)


@pytest.fixture(scope="module")
def public(histories):
    return public_protocol(
        histories, SPEC, models=("logistic_regression", "random_forest"), draws=50, seed=1
    )


def test_the_public_way_finds_skill_where_there_is_only_the_time_observed(public):
    auc = public[public["metric"] == "roc_auc"].set_index("candidate")["value"]

    assert auc["random_forest"] > 0.85
    assert auc[BASE_RATE] == 0.5
    assert set(public["protocol"]) == {PUBLIC}
    assert 30 < public["user_count"].iloc[0] < 90


def test_the_weighted_f1_is_what_mllib_calls_f1(spark):
    y, flagged = [1, 1, 0, 0, 0, 0, 1, 0], [1, 0, 0, 0, 1, 0, 0, 0]
    table = spark.createDataFrame(
        [(float(a), float(b)) for a, b in zip(y, flagged, strict=True)],
        "label double, prediction double",
    )
    evaluator = MulticlassClassificationEvaluator(metricName="f1")

    assert evaluator.evaluate(table) == pytest.approx(f1_score(y, flagged, average="weighted"))


def test_the_same_seed_gives_the_same_figures(histories, public):
    again = public_protocol(
        histories.repartition(3),
        SPEC,
        models=("logistic_regression", "random_forest"),
        draws=50,
        seed=1,
    )

    assert again["value"].tolist() == pytest.approx(public["value"].tolist(), abs=1e-12)


def test_both_protocols_stand_side_by_side(public):
    honest = public.drop(columns="protocol").assign(value=0.1)
    found = side_by_side(public, honest, candidate="random_forest", metrics=("roc_auc", "log_loss"))

    assert found["metric"].tolist() == ["roc_auc", "roc_auc", "log_loss", "log_loss"]
    assert found["protocol"].tolist() == [PUBLIC, HONEST] * 2
    best = public[(public["metric"] == "roc_auc")]["value"].max()
    assert found.loc[0, "value"] == best
    lowest = public[(public["metric"] == "log_loss") & (public["candidate"] != BASE_RATE)]
    assert found.loc[2, "value"] == lowest["value"].min()


def test_it_runs_on_the_aggregates_of_the_real_mini_set(spark, real_data):
    table = spark.read.csv(
        str(real_data / "mini_225_users.csv"), header=True, inferSchema=True
    ).coalesce(1)
    spec = TableSpec(id="userId", label="churn")
    found = public_protocol(table, spec, models=("random_forest",), draws=50)
    auc = found.set_index(["candidate", "metric"])["value"]["random_forest"]["roc_auc"]

    assert auc > 0.65
