"""What `make run` leaves behind, from end to end."""

import json

import pandas as pd
import pytest
from click.testing import CliRunner
from lifelines import KaplanMeierFitter
from lifelines.exceptions import StatError

from expectations.run import check_tables
from ml.card import digest
from ml.training import TrainOptions
from sparkify import ledger, pipeline, transform
from sparkify.cli import cli
from sparkify.errors import BadInput, CheckFailed
from sparkify.tables import append
from sparkify.training import train_stage

pytestmark = pytest.mark.usefixtures("finished_run")


def test_every_active_user_has_a_score_and_an_order(spark):
    scores = spark.table("sparkify.fct_churn_scores")
    features = spark.table("sparkify.fct_user_features")
    assert scores.join(features, ["user_id", "as_of_date"]).count() == features.count()
    assert 0 < scores.selectExpr("avg(probability)").first()[0] < 0.5
    assert scores.where("reason_1 is not null").count() > 0


def test_every_candidate_is_measured_beside_its_baseline(spark):
    performance = spark.table("sparkify.fct_model_performance")
    candidates = {row.candidate for row in performance.select("candidate").distinct().collect()}
    assert {"base_rate", "logistic_regression", "stack"} <= candidates
    assert (
        performance.where("no_skill is null or not value between ci_low and ci_high").count() == 0
    )


def test_the_report_shows_the_scores(finished_run):
    page = (finished_run.home / "report" / "Sparkify.html").read_text()
    assert "Who is about to cancel" in page
    assert page.count("<img") >= 6


def test_dbt_tests_and_unit_tests_pass(settings):
    result = transform.run_dbt(settings, "test")
    kinds = [node.node.resource_type for node in result.result.results]
    assert kinds.count("unit_test") >= 9
    assert kinds.count("test") >= 13


def test_bare_dbt_commands_work(settings):
    transform.run_dbt(settings, "run", "--select", "dim_users")
    transform.run_dbt(settings, "docs", "generate")
    catalog = json.loads((settings.home / "dbt" / "catalog.json").read_text())
    assert "model.sparkify.fct_user_features" in catalog["nodes"]


def test_sql_prints_the_same_rows_in_three_formats():
    query = "select count(*) as users from sparkify.dim_users"
    shown = {
        style: CliRunner().invoke(cli, ["sql", query, "--format", style]).output
        for style in ("table", "csv", "json")
    }
    count = json.loads(shown["json"])["users"]
    assert shown["csv"] == f"users\n{count}\n"
    assert str(count) in shown["table"]


def test_a_query_that_cannot_run_says_why_in_one_line():
    result = CliRunner().invoke(cli, ["sql", "select nothing from nowhere"])
    assert result.exception.exit_code == 2
    assert "nowhere" in str(result.exception)


def test_the_gate_names_the_expectation_that_fails(spark, settings):
    bad = spark.table("sparkify.fct_user_features").limit(1).toPandas()
    bad["user_id"], bad["paid_event_share_28d"], bad["song_count_7d"] = "bad", 1.5, 10**6
    rows = spark.createDataFrame(bad, spark.table("sparkify.fct_user_features").schema)
    append(spark, settings, rows, "sparkify.fct_user_features")
    try:
        with pytest.raises(CheckFailed) as failure:
            pipeline.check(spark, settings, ["fct_user_features"])
    finally:
        spark.sql("delete from sparkify.fct_user_features where user_id = 'bad'")
    assert failure.value.exit_code == 4
    assert "values_to_be_between(paid_event_share_28d)" in str(failure.value)
    assert "a short window counts no more than a longer one" in str(failure.value)


def test_every_expectation_is_named_and_passes(spark):
    checks = check_tables(spark)
    assert all(check.status == "pass" and check.check_name for check in checks)
    assert len({(check.table_name, check.check_name) for check in checks}) == len(checks)


def test_every_check_of_a_run_is_in_the_ledger_once(spark, finished_run):
    rows = spark.table("sparkify.quality_ledger")
    first = rows.orderBy("checked_at").first().run_id
    checks = rows.where(f"run_id = '{first}'")
    assert checks.count() == checks.dropDuplicates(["tool", "table_name", "check_name"]).count()
    tools = {row.tool: row["count"] for row in checks.groupBy("tool").count().collect()}
    assert tools["dbt"] >= 20 and tools["great_expectations"] >= 60 and tools["ml"] >= 1
    assert checks.where("status = 'pass' and row_count > 0 and failure_count = 0").count() > 80
    layers = {row.layer for row in checks.select("layer").distinct().collect()}
    assert {"staging", "core", "features", "retention"} <= layers


def test_checks_shows_the_last_run_and_what_changed(spark, settings):
    bad = spark.table("sparkify.fct_user_features").limit(1).toPandas()
    bad["user_id"], bad["paid_event_share_28d"] = "bad", 1.5
    rows = spark.createDataFrame(bad, spark.table("sparkify.fct_user_features").schema)
    ledger.begin_run()
    pipeline.check(spark, settings)
    append(spark, settings, rows, "sparkify.fct_user_features")
    ledger.begin_run()
    try:
        with pytest.raises(CheckFailed):
            pipeline.check(spark, settings)
    finally:
        spark.sql("delete from sparkify.fct_user_features where user_id = 'bad'")
    shown = CliRunner().invoke(cli, ["checks"]).output
    not_passed, changed = shown.split("Changed since")
    assert "values_to_be_between(paid_event_share_28d)" in not_passed
    assert "such as [1.5]" in not_passed
    assert "rows" in changed and "pass" in changed


def test_the_expectations_are_pages_too(finished_run):
    page = (finished_run.home / "data_docs" / "index.html").read_text()
    assert "fct_user_snapshots" in page


def test_models_are_listed_and_an_unknown_version_is_not_promoted(finished_run):
    shown = CliRunner().invoke(cli, ["models"]).output
    assert "version 1 champion" in shown and "beats the base rate" in shown
    failed = CliRunner().invoke(cli, ["models", "promote", "99"])
    assert "no version 99" in str(failed.exception)


def test_a_score_is_explained_in_the_users_own_values(spark, finished_run):
    score = spark.table("sparkify.fct_churn_scores").first()
    shown = CliRunner().invoke(cli, ["explain", "--user", score.user_id]).output
    assert f"{score.probability:.1%}" in shown and "typically" in shown
    unknown = CliRunner().invoke(cli, ["explain", "--user", "nobody"])
    assert unknown.exception.exit_code == 3


def test_every_feature_of_the_model_is_watched_for_drift(spark):
    drift = spark.table("sparkify.fct_feature_drift")
    assert drift.count() == drift.select("feature").distinct().count() > 40
    assert drift.where("psi < 0 or psi_bound <= 0 and psi > 0 or q_value < p_value").count() == 0
    ledger_rows = spark.table("sparkify.quality_ledger").where("check_name like '%learned from%'")
    assert ledger_rows.count() == 1


def test_the_backtest_and_the_stack_are_tables(spark):
    backtest = spark.table("sparkify_ml.backtest")
    performance = spark.table("sparkify.fct_model_performance")
    found = backtest.where("model = 'stack'").selectExpr(
        "-avg(ln(if(label = 1, probability, 1 - probability)))"
    )
    told = performance.where("candidate = 'stack' and metric = 'log_loss'").select("value")
    assert found.first()[0] == pytest.approx(told.first()[0], abs=1e-9)
    assert (
        spark.table("sparkify_ml.stack_weights")
        .where("model != 'intercept' and weight < 0")
        .count()
        == 0
    )


def test_an_old_table_version_is_trained_on_again_to_the_last_digit(spark, settings):
    options = TrainOptions(models=("logistic_regression",), draws=50)
    snapshots = "sparkify.fct_user_snapshots"
    first, _ = train_stage(spark, settings, options=options, model="again")
    version = pipeline.feature_table(spark, settings, snapshots).version
    spark.sql(f"delete from {snapshots} where as_of_date <= '2018-10-15'")
    try:
        again, _ = train_stage(spark, settings, options=options, model="again", version=version)
    finally:
        spark.sql(f"restore table {snapshots} to version as of {version}")
    assert digest(again) == digest(first)
    with pytest.raises(BadInput, match="has no version 999"):
        pipeline.feature_table(spark, settings, snapshots, version=999)


def test_the_public_protocol_stands_beside_the_honest_one(finished_run):
    shown = CliRunner().invoke(cli, ["evaluate", "--protocol", "leaky"]).output
    assert shown.count("random split of whole histories") == 5
    assert shown.count("backtest of what was known") == 5


def test_survival_agrees_with_lifelines(spark):
    users = spark.table("sparkify.dim_users").where("registered_at is not null").toPandas()
    days = {name: users[name].dt.normalize() for name in ("registered_at", "first_seen_at")}
    left = users["churned_at"].fillna(users["last_seen_at"].max()).dt.normalize()
    users["entry"] = (days["first_seen_at"] - days["registered_at"]).dt.days.clip(lower=0)
    users["exit"] = (left - days["registered_at"]).dt.days.clip(lower=0)
    users["registration_week"] = (
        users["registered_at"].dt.to_period("W-SUN").dt.start_time.dt.strftime("%Y-%m-%d")
    )
    users["all"] = "all"
    curves = spark.table("sparkify.fct_retention_cohorts").toPandas()
    compared, refused = 0, 0
    for (by, cohort), curve in curves.groupby(["cohort_by", "cohort"]):
        column = "first_level" if by == "level" else by
        members = users[users[column].astype(str) == cohort]
        # lifelines wants everybody to stay for some time: half a day changes no order of days.
        try:
            fitted = KaplanMeierFitter().fit(
                members["exit"] + 0.5, members["is_churned"], entry=members["entry"]
            )
        except StatError:  # it refuses a cohort of which, for a while, nobody is seen
            refused += 1
            continue
        expected = fitted.survival_function_at_times(curve["tenure_days"] + 0.5)
        pd.testing.assert_series_equal(
            curve["survival"], expected.set_axis(curve.index), check_names=False, rtol=1e-9
        )
        limits = fitted.confidence_interval_.reindex(curve["tenure_days"] + 0.5, method="ffill")
        inside = curve["ci_low"].notna().to_numpy()
        for column, limit in zip(("ci_low", "ci_high"), limits.to_numpy()[inside].T, strict=True):
            assert curve[column][inside].to_numpy() == pytest.approx(limit, rel=1e-9)
        compared += inside.sum()
    assert compared > 100
    assert refused < curves["cohort"].nunique() / 2
