"""Training on, and scoring, a table that dbt did not build."""

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from ml.errors import NotTrainable, TableMismatch
from sparkify.cli import cli
from sparkify.errors import WrongUse


@pytest.fixture(scope="module")
def customers(tmp_path_factory) -> pd.DataFrame:
    """300 customers who leave when they complain."""
    random = np.random.default_rng(0)
    complaints = random.poisson(2, 300)
    leaves = random.random(300) < 1 / (1 + np.exp(3 - complaints))
    return pd.DataFrame(
        {
            "customer": [f"c{i}" for i in range(300)],
            "complaints": complaints,
            "plan": random.choice(["basic", "plus"], 300),
            "spend": random.gamma(2, 20, 300),
            "left": leaves,
            "exit_survey": leaves.astype(float) + random.normal(0, 0.01, 300),
        }
    )


def train(path, *extra: str, models: str = "logistic_regression"):
    arguments = ["train", "--parquet", str(path), "--id", "customer", "--label", "left"]
    return CliRunner().invoke(cli, [*arguments, "--models", models, *extra])


def test_a_table_of_ones_own_is_trained_on_and_scored(spark, customers, tmp_path):
    customers.to_parquet(tmp_path / "customers.parquet")
    trained = train(
        tmp_path / "customers.parquet",
        "--exclude",
        "exit_survey",
        models="logistic_regression,random_forest",
    )
    assert trained.exit_code == 0, trained.exception
    assert "300 predictions of 300 users" in trained.output
    customers.drop(columns=["left", "exit_survey"]).to_parquet(tmp_path / "new.parquet")
    out = tmp_path / "scores.csv"
    scored = CliRunner().invoke(
        cli,
        ["score", "--parquet", str(tmp_path / "new.parquet"), "--id", "customer"]
        + ["--out", str(out)],
    )
    assert scored.exit_code == 0, scored.exception
    scores = pd.read_csv(out).merge(customers, on="customer")
    assert len(scores) == 300
    assert scores["probability"].is_monotonic_decreasing
    assert scores["probability"].corr(scores["complaints"]) > 0.8
    assert scores["reason_1"].notna().sum() > 100


def test_a_column_that_knows_the_outcome_is_refused_unless_it_is_allowed_by_name(
    spark, customers, tmp_path
):
    table = tmp_path / "customers.parquet"
    customers[["customer", "complaints", "left", "exit_survey"]].to_parquet(table)
    refused = train(table)
    assert isinstance(refused.exception, NotTrainable)
    assert "`exit_survey` (ROC AUC 1.000)" in str(refused.exception)
    assert "--allow exit_survey" in str(refused.exception)
    allowed = train(table, "--allow", "exit_survey", "--name", "allowed", models="naive_bayes")
    assert allowed.exit_code == 0, allowed.exception
    assert "`exit_survey` tells churners from the others" in " ".join(allowed.output.split())


@pytest.mark.parametrize(
    ("option", "value", "remedy"),
    [
        ("--models", "oracle", "no learner oracle; choose among logistic_regression"),
        ("--origins", "0", "origins is 0; give 1 or more"),
    ],
)
def test_an_option_without_a_meaning_is_wrong_use(settings, tmp_path, option, value, remedy):
    refused = train(tmp_path / "customers.parquet", option, value)
    assert isinstance(refused.exception, WrongUse)
    assert remedy in str(refused.exception)


def test_columns_that_tell_rows_to_score_apart_are_left_out(spark, customers, tmp_path):
    customers.drop(columns="exit_survey").to_parquet(tmp_path / "customers.parquet")
    dearer = customers.drop(columns=["left", "exit_survey"]).assign(spend=customers["spend"] + 500)
    dearer.to_parquet(tmp_path / "new.parquet")
    table = tmp_path / "customers.parquet"
    trained = train(table, "--to-score", str(tmp_path / "new.parquet"), "--stable-only")
    assert trained.exit_code == 0, trained.exception
    assert "Rows to score differ" in trained.output
    assert "spend (tells rows to score from training rows)" in " ".join(trained.output.split())
    refused = train(table, "--stable-only")
    assert "--to-score" in str(refused.exception)


def test_a_table_without_a_column_of_the_model_is_refused(spark, customers, tmp_path):
    customers[["customer", "plan"]].to_parquet(tmp_path / "narrow.parquet")
    arguments = ["score", "--parquet", str(tmp_path / "narrow.parquet"), "--id", "customer"]
    result = CliRunner().invoke(cli, [*arguments, "--out", str(tmp_path / "scores.csv")])
    assert isinstance(result.exception, TableMismatch)
    assert "complaints" in str(result.exception)
    assert not (tmp_path / "scores.csv").exists()


def test_a_label_of_one_class_is_not_trainable(spark, customers, tmp_path):
    customers.assign(left=False).to_parquet(tmp_path / "stayers.parquet")
    assert isinstance(train(tmp_path / "stayers.parquet").exception, NotTrainable)
