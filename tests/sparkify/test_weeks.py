"""Four weeks in the life of a model, as a person who looks at it each Monday reads them."""

import re

import pytest
from click.testing import CliRunner

from ml.options import TrainOptions
from sparkify import transform
from sparkify.cli import cli
from sparkify.commands.score import score_stage
from sparkify.commands.train import train_snapshots
from sparkify.settings import Settings
from sparkify.simulator import simulate
from sparkify.stages import RETENTION

pytestmark = pytest.mark.slow
MONDAYS = ("2018-11-12", "2018-11-19", "2018-11-26", "2018-12-03")


def call(*arguments: str) -> str:
    """What a command prints, its lines joined."""
    done = CliRunner().invoke(cli, arguments)
    assert done.exit_code == 0, done.exception
    return " ".join(done.output.split())


@pytest.fixture(scope="module")
def weeks(spark, tmp_path_factory):
    """Lines of a log by day, while a schema of its own is in use."""
    out = tmp_path_factory.mktemp("weeks")
    simulate(spark, users=250, seed=1, out=out / "log")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("SPARKIFY_SCHEMA", "weeks")
        yield out
    for schema in ("weeks", "weeks_raw", "weeks_ml"):
        spark.sql(f"drop schema if exists {schema} cascade")


@pytest.fixture(scope="module")
def read(spark, weeks) -> list[dict[str, str]]:
    """By Monday, what is read before and after the weekly training, and of all versions."""
    settings = Settings.from_environment()
    events = weeks / "events"
    events.mkdir()
    found = []
    for monday in MONDAYS:
        for folder in sorted((weeks / "log" / "events").iterdir()):
            if folder.name < f"date={monday}":
                folder.rename(events / folder.name)
        transform.register_events(settings, str(events))
        transform.run_dbt(settings, "run")
        before = call("status")
        # In the third week somebody tries another learner, which has to prove itself.
        learner = "naive_bayes" if monday == MONDAYS[2] else "logistic_regression"
        train_snapshots(spark, settings, options=TrainOptions(models=(learner,), origins=1))
        score_stage(spark, settings)
        transform.run_dbt(settings, "run", "--select", RETENTION)
        found.append({"before": before, "after": call("status"), "models": call("models")})
    return found


def test_the_status_says_each_week_whether_to_train_again(read):
    assert "Train again yes. No model weeks-churn" in read[0]["before"]
    for week in read[1:]:
        assert "Train again yes. The outcome of 1 date is known since" in week["before"]
    for week in read:
        assert "Train again no" in week["after"]
        assert "he last training knew every outcome that is known." in week["after"]


def test_the_same_recipe_on_newer_data_follows_and_another_one_has_to_be_better(read):
    used = [re.search(r"In use version (\d)", week["after"])[1] for week in read]
    assert used == ["1", "2", "2", "4"]
    assert "Last training version 3:" in read[2]["after"]
    assert "version 3 challenger" in read[2]["models"]


def test_what_came_true_is_said_of_every_version_once_it_is_known(spark, read):
    assert ["Came true not known yet" in week["after"] for week in read] == [
        True,
        True,
        False,
        False,
    ]
    outcomes = spark.table("weeks.fct_score_outcomes").where("not is_shadow")
    known = outcomes.where("churner_count is not null").orderBy("as_of_date").collect()
    assert [str(row.as_of_date) for row in known] == list(MONDAYS[:2])
    expected, counted = (
        sum(r.expected_churner_count for r in known),
        sum(r.churner_count for r in known),
    )
    left = spark.sql(
        "select count(*) as n from weeks.dim_users cross join (select explode(array("
        + ", ".join(f"date'{monday}'" for monday in MONDAYS[:2])
        + ")) as monday) join weeks.fct_churn_scores using (user_id) where as_of_date = monday"
        " and to_date(churned_at) between monday and date_add(monday, 13)"
    ).first()["n"]
    assert counted == left
    said = f"on 2 dates, churner-weeks: expected {expected:.0f}, counted {counted}"
    assert said in read[3]["after"]
    assert read[3]["models"].count("came true") == 2


def test_the_challenger_is_scored_in_shadow_and_nobody_is_contacted_by_it(spark, read):
    scores = spark.table("weeks_ml.churn_scores")
    shadow = scores.where("is_shadow").select("as_of_date", "model_version").distinct().collect()
    assert [(str(row.as_of_date), row.model_version) for row in shadow] == [(MONDAYS[2], 3)]
    in_use = spark.table("weeks.fct_churn_scores").select("as_of_date", "model_version")
    assert sorted((str(row[0]), row[1]) for row in in_use.distinct().collect()) == list(
        zip(MONDAYS, (1, 2, 2, 4), strict=True)
    )
    users = spark.table("weeks.fct_churn_scores").where(f"as_of_date = '{MONDAYS[2]}'").count()
    assert scores.where("is_shadow").count() == users
