"""What `make run` leaves behind, from end to end."""

import html
import json
import math
import re
import shutil
from dataclasses import replace
from pathlib import Path

import nbformat
import pandas as pd
import pytest
from click.testing import CliRunner
from lifelines import KaplanMeierFitter
from pyspark.sql import functions as F

from expectations.run import check_tables
from expectations.suites import SUITES
from ml.backtest import ALL_ROWS
from ml.economics import Offer, break_even, contact_profit
from ml.errors import NotTrainable
from ml.explaining import NO_MORE, contributions, explain
from ml.training import TrainOptions
from ml.versions import columns_read
from ml.wording import UNKNOWN
from sparkify import (
    datasets,
    ledger,
    personal_files,
    registered,
    scores,
    stages,
    terminal,
    transform,
)
from sparkify.cli import cli
from sparkify.commands import maintain, report, score, train
from sparkify.commands.targets import list_targets
from sparkify.commands.train import train_snapshots
from sparkify.errors import BadInput, CheckFailed, SparkifyError, WrongUse
from sparkify.report.card import render_card
from sparkify.settings import Settings
from sparkify.sources import append
from sparkify.stages import retention_stage
from tests.declared import declared
from tests.reasons import expected_reasons, reasons_by_user
from tests.sparkify.pages import CONTRIBUTING, DOCS, README, follow
from tests.sparkify.remedies import named, output_of, refusal

PROJECT = Path(__file__).parents[2]

pytestmark = pytest.mark.usefixtures("finished_run")


def test_a_build_of_the_same_events_has_nothing_to_do(settings):
    events = settings.home / "simulated" / "225-users-seed-42" / "events"
    found = CliRunner().invoke(cli, ["build", "--events", str(events)])
    assert found.exit_code == 0, found.output
    assert "Nothing changed since" in found.output and "rows read" in found.output


def test_every_active_user_has_a_score_and_an_order(spark):
    scores = spark.table("sparkify.fct_churn_scores")
    features = spark.table("sparkify.fct_user_features")
    assert scores.join(features, ["user_id", "as_of_date"]).count() == features.count()
    assert 0 < scores.selectExpr("avg(probability)").first()[0] < 0.5


def test_every_reason_raises_the_risk_and_is_the_same_wherever_it_is_shown(spark, settings):
    scores = spark.table("sparkify.fct_churn_scores").toPandas()
    champion, _ = registered.registry(settings, settings.model).champion()
    features = datasets.feature_table(spark, settings, "fct_user_features")
    rows = {row["user_id"]: row.asDict() for row in features.rows.collect()}
    told = {
        row["user_id"]: row.asDict()
        for row in contributions(features.rows, champion, keys=["user_id"]).collect()
    }
    found = reasons_by_user(scores, user="user_id")

    assert found == {user: expected_reasons(rows[user], told[user], champion) for user in rows}
    assert sum("more at risk than most" not in reasons[0] for reasons in found.values()) >= 10
    for user, reasons in found.items():
        is_at_risk = 1 / (1 + math.exp(-told[user]["log_odds"])) > champion.average_risk
        assert (reasons != [NO_MORE]) == is_at_risk
        assert not any(UNKNOWN in reason or "{" in reason or "(s)" in reason for reason in reasons)
    targets = spark.table("sparkify.fct_retention_targets").toPandas()
    assert reasons_by_user(targets, user="user_id") == found
    explained = explain(features.rows, champion, id="user_id", time="as_of_date")
    listed = explained.select("user_id", "reasons").distinct().collect()
    assert {row["user_id"]: row["reasons"] for row in listed} == found


def test_every_candidate_is_measured_beside_its_baseline(spark):
    performance = spark.table("sparkify.fct_model_performance")
    candidates = {row.candidate for row in performance.select("candidate").distinct().collect()}
    assert {"base_rate", "logistic_regression", "stack"} <= candidates
    assert (
        performance.where("no_skill is null or not value between ci_low and ci_high").count() == 0
    )


def test_the_report_shows_the_scores(finished_run):
    page = (finished_run.home / "report" / "Sparkify.html").read_text()
    assert "worth contacting now" in page and "Simulated data" in page
    assert page.count("data-chart=") >= 15 and "Notebook" not in page
    executed = nbformat.read(finished_run.home / "report" / "Sparkify.ipynb", as_version=4)
    shown = json.dumps([cell.get("outputs") for cell in executed.cells])
    assert shown.count('"image/svg+xml"') >= 15 and "There is no model" not in shown


@pytest.mark.parametrize("page", [README, CONTRIBUTING, *DOCS], ids=lambda page: page.stem)
def test_what_the_pages_show_runs(page, spark, settings, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path(".sparkify").symlink_to(settings.home)
    left = follow(page, spark)
    if page == README:
        found = left["scores"].toPandas().astype({"user_id": str})
        stored = spark.table("sparkify.fct_churn_scores").toPandas()
        both = stored.merge(found, on="user_id", validate="1:1", suffixes=("", "_found"))
        assert len(both) == len(stored) == len(found) > 0
        assert both["probability_found"].tolist() == pytest.approx(both["probability"].tolist())


@pytest.mark.long
def test_dbt_tests_and_unit_tests_pass(settings):
    result = transform.run_dbt(settings, "test", "--select", "test_type:unit", "fct_user_days")
    kinds = [node.node.resource_type for node in result.result.results]
    assert kinds.count("unit_test") >= 9
    assert kinds.count("test") >= 2


@pytest.mark.long
def test_bare_dbt_commands_work(settings):
    transform.run_dbt(settings, "run", "--select", "dim_users")
    transform.run_dbt(settings, "docs", "generate")
    catalog = json.loads((settings.home / "dbt" / "catalog.json").read_text())
    assert "model.sparkify.fct_user_features" in catalog["nodes"]


@pytest.mark.long
def test_a_type_against_the_contract_stops_the_model_and_its_table_stays(spark, settings, tmp_path):
    for name in ("macros", "tests", "dbt_project.yml", "profiles"):
        (tmp_path / name).symlink_to(PROJECT / name)
    shutil.copytree(PROJECT / "models", tmp_path / "models")
    core = tmp_path / "models" / "marts" / "core" / "_core.yml"
    described = core.read_text()
    wrong = re.sub(
        r"(- name: fct_sessions.*?data_type: )string", r"\1bigint", described, flags=re.S
    )
    assert wrong != described
    core.write_text(wrong)
    before = spark.table("sparkify.fct_sessions").count()
    paths = ("--project-dir", tmp_path, "--profiles-dir", PROJECT, "--target-path", tmp_path)
    transform.run_dbt(settings, "run", "--select", "fct_user_days", *map(str, paths))
    with pytest.raises(SparkifyError, match="fct_sessions.*contract"):
        transform.run_dbt(settings, "run", "--select", "fct_sessions", *map(str, paths))
    assert spark.table("sparkify.fct_sessions").count() == before
    run = spark.table("sparkify.quality_ledger").orderBy("checked_at", ascending=False)
    runs = run.where("check_name = 'dbt run'").limit(2).collect()
    assert [(row.status, row.failure_count) for row in runs] == [("error", 1), ("pass", 0)]
    broken = run.where("check_name = 'the model can be built'").collect()
    assert [(row.table_name, row.status) for row in broken] == [("fct_sessions", "error")]


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


def false_row(spark, table: str, values: dict):
    """A row of a table with other values in it."""
    whole = spark.table(table)
    row = whole.limit(1).withColumns({name: F.lit(value) for name, value in values.items()})
    return spark.createDataFrame(row.collect(), whole.schema)


@pytest.mark.long
def test_the_gate_names_the_expectation_that_fails(spark, settings):
    false = {"user_id": "bad", "paid_event_share_28d": 1.5, "song_count_7d": 10**6}
    false |= {"tenure_days": -1, "days_since_last_active": None}
    false |= {"advert_per_hour_28d": float("nan")}
    rows = false_row(spark, "sparkify.fct_user_features", false)
    append(spark, settings, rows, "sparkify.fct_user_features")
    try:
        with pytest.raises(CheckFailed) as failure:
            stages.check_tables(spark, settings, ["fct_user_features"])
    finally:
        spark.sql("delete from sparkify.fct_user_features where user_id = 'bad'")
    assert failure.value.exit_code == 4
    said = str(failure.value)
    assert "values_to_be_between(paid_event_share_28d)" in said
    assert "no feature is less than it can be in tenure_days (1)" in said
    assert "no feature is infinite or not a number in advert_per_hour_28d (1)" in said
    assert "no feature is missing that never is in days_since_last_active (1)" in said
    assert "a short window counts no more than a longer one" in str(failure.value)


def test_the_gate_sees_doubles_strangers_lost_events_and_other_data(spark, settings):
    days = spark.table("sparkify.fct_user_days")
    false = {"user_id": "bad", "last_level": "gold", "event_count": 10**7, "song_count": 10**6}
    rows = days.limit(1).withColumns({name: F.lit(value) for name, value in false.items()})
    rows = spark.createDataFrame(rows.union(rows).collect(), days.schema)
    append(spark, settings, rows, "sparkify.fct_user_days")
    try:
        found = check_tables(spark, ["fct_user_days"], schema="sparkify", unknown=0.2)
    finally:
        spark.sql("delete from sparkify.fct_user_days where user_id = 'bad'")
    assert {check.check_name: check.status for check in found if check.status != "pass"} == {
        "compound_columns_to_be_unique(user_id, activity_date)": "fail",
        "column_values_to_be_in_set(last_level)": "fail",
        "the days hold as many events as were staged": "fail",
        "the mean of event_count is like that of the previous build": "warn",
        "the mean of song_count is like that of the previous build": "warn",
    }


def test_every_feature_says_what_null_means(spark, finished_run):
    manifest = json.loads((finished_run.home / "dbt" / "manifest.json").read_text())
    for table in ("fct_user_snapshots", "fct_user_features"):
        rows = spark.table(f"sparkify.{table}")
        counts = rows.agg(*(F.count_if(rows[name].isNull()).alias(name) for name in rows.columns))
        nulls = counts.first().asDict()
        columns = manifest["nodes"][f"model.sparkify.{table}"]["columns"]
        silent = [
            name for name in nulls if nulls[name] and "null" not in columns[name]["description"]
        ]
        assert not silent


@pytest.mark.long
def test_every_expectation_is_named_and_passes(spark):
    checks = check_tables(spark, schema="sparkify", unknown=0.2)
    assert all(check.status == "pass" and check.check_name for check in checks)
    assert len({(check.table_name, check.check_name) for check in checks}) == len(checks)


def test_every_check_of_a_run_is_in_the_ledger_once(spark, finished_run):
    rows = spark.table("sparkify.quality_ledger")
    first = rows.orderBy("checked_at").first().run_id
    checks = rows.where(f"run_id = '{first}'")
    assert checks.count() == checks.dropDuplicates(["tool", "table_name", "check_name"]).count()
    made = {
        tool: {row.check_name for row in checks.where(checks.tool == tool).collect()}
        for tool in ("dbt", "ml")
    }
    manifest = json.loads((finished_run.home / "dbt" / "manifest.json").read_text())
    nodes = manifest["nodes"].values()
    assert made["dbt"] == {node["name"] for node in nodes if node["resource_type"] == "test"}
    suites = {
        name: suite(spark.table(f"sparkify.{name}").columns, None, 0.2, "sparkify")
        for name, suite in SUITES.items()
    }
    counts = checks.where("tool = 'great_expectations'").groupBy("table_name").count().collect()
    assert dict(counts) == {name: len(suite) for name, suite in suites.items()}
    assert made["ml"]
    assert checks.where("status = 'pass' and row_count > 0 and failure_count = 0").count() > 80
    layers = {row.layer for row in checks.select("layer").distinct().collect()}
    assert {"staging", "core", "features", "retention"} <= layers


def test_checks_shows_the_last_run_and_what_changed(spark, settings, monkeypatch):
    false = {"user_id": "bad", "paid_event_share_28d": 1.5}
    rows = false_row(spark, "sparkify.fct_user_features", false)
    ledger.begin_run()
    stages.check_tables(spark, settings, ["fct_user_features"])
    append(spark, settings, rows, "sparkify.fct_user_features")
    ledger.begin_run()
    try:
        with pytest.raises(CheckFailed) as failed:
            stages.check_tables(spark, settings, ["fct_user_features"])
    finally:
        spark.sql("delete from sparkify.fct_user_features where user_id = 'bad'")
    # Where it is narrow cells are broken anywhere.
    monkeypatch.setattr(terminal.console, "_width", 200)
    (checks,) = named(str(failed.value))
    shown = output_of(*checks)
    not_passed, changed = shown.split("Changed since")
    assert "values_to_be_between(paid_event_share_28d)" in not_passed
    assert "such as [1.5]" in not_passed
    assert "rows" in changed and "pass" in changed


def test_the_page_lists_every_check(finished_run, spark):
    page = html.unescape((finished_run.home / "report" / "Sparkify.html").read_text())
    checked = spark.table("sparkify.quality_ledger").where("tool = 'great_expectations'")
    first = checked.agg(F.min_by("run_id", "checked_at")).first()[0]
    names = {row.check_name for row in checked.where(f"run_id = '{first}'").collect()}
    assert len(names) > 30
    assert [name for name in names if name not in page] == []


def test_a_model_card_holds_what_the_registry_knows_as_text(finished_run):
    shown = CliRunner().invoke(cli, ["models", "card"])
    assert shown.exit_code == 0, shown.exception
    registry = registered.registry(finished_run, finished_run.model)
    version, card = registry.card()
    page = html.unescape(
        (finished_run.home / "report" / f"sparkify-churn-{version.version}.html").read_text()
    )
    auc, low, high, _ = card["metrics"]["roc_auc"]
    for words in (version.decision, f"{auc:.3f}", f"{low:.3f} to {high:.3f}", *card["warnings"]):
        assert words in page
    assert not re.search(r"""(src|href)=["']?(https?:)?//""", page)
    hostile = card | {"warnings": ["<script>alert(1)</script>"]}
    assert "<script>" not in render_card(version, hostile)
    assert "no version 99" in str(CliRunner().invoke(cli, ["models", "card", "99"]).exception)


def test_the_summary_as_json_is_what_the_tables_hold(finished_run, spark):
    found = json.loads((finished_run.home / "summary.json").read_text())
    data = found["data"]
    accepted = data["events"] + data["duplicates"]
    assert data["rows_read"] == accepted + sum(data["rejected"].values())
    assert data["users"] == spark.table("sparkify.dim_users").count() == 225
    passed = spark.table("sparkify.quality_ledger").where("tool = 'dbt' and status = 'pass'")
    first = passed.agg(F.min_by("run_id", "checked_at")).first()[0]
    tests = passed.where(f"run_id = '{first}' and check_name not like 'dbt %'").count()
    assert data["dbt_tests_passed"] == tests
    targets = spark.table("sparkify.fct_retention_targets")
    assert found["targets"]["users"] == targets.count()
    assert found["targets"]["worth"] == targets.where("is_worth_contacting").count()
    assert found["model"]["version"] == 1 and found["model"]["metrics"]["roc_auc"]["value"] > 0.4


def test_every_mart_is_listed_with_its_grain_and_the_contact_list_is_a_file(
    finished_run, spark, tmp_path
):
    shown = CliRunner().invoke(cli, ["tables"]).output
    for row in spark.sql("show tables in sparkify").collect():
        if row.tableName.startswith(("dim_", "fct_")):
            assert re.search(rf"sparkify\.{row.tableName} +[\d,]+ +[a-z(]", shown), row.tableName
    out = tmp_path / "contact.csv"
    given = ["targets", "--everybody", "--top", "12", "--csv", str(out)]
    shown = " ".join(CliRunner().invoke(cli, given).output.split())
    targets = spark.table("sparkify.fct_retention_targets").orderBy("priority").limit(12).toPandas()
    written = pd.read_csv(out, dtype={"user_id": str})
    assert written["user_id"].tolist() == targets["user_id"].tolist()
    (is_proven,) = spark.table("sparkify_ml.churn_scores").select("is_proven").distinct().first()
    assert set(written["is_proven"]) == {is_proven}
    assert f"12 of {spark.table('sparkify.fct_user_features').count()} active users" in shown
    worth = spark.table("sparkify.fct_retention_targets").where("is_worth_contacting").count()
    few = CliRunner().invoke(cli, ["targets", "--csv", str(out)])
    assert few.exit_code == 0 and len(pd.read_csv(out)) == worth


def test_models_are_listed_and_an_unknown_version_is_not_promoted(finished_run):
    shown = CliRunner().invoke(cli, ["models"]).output
    assert "version 1 champion" in shown
    assert ("It beats the base rate" in shown) != ("It is unproven" in shown)
    failed = CliRunner().invoke(cli, ["models", "promote", "99"])
    assert "no version 99" in str(failed.exception)


def test_the_status_tells_in_ten_lines_whether_to_train_again(finished_run):
    shown = CliRunner().invoke(cli, ["status"]).output.split("\n\n")[-1].strip().splitlines()
    assert shown[0] == "Train again     no. The last training knew every outcome that is known."
    told = ("Train again", "In use", "Outcomes known", "Scores", "Came true", "Drift", "Checks")
    assert all(any(row.startswith(f"{name:<16}") for row in shown) for name in told)
    assert len(shown) <= 10


def test_a_score_is_explained_in_the_users_own_values(spark, finished_run):
    score = spark.table("sparkify.fct_churn_scores").orderBy("probability", ascending=False).first()
    shown = CliRunner().invoke(cli, ["explain", "--user", score.user_id]).output
    assert f"{score.probability:.1%}" in shown and "a typical user" in shown
    reasons = [score[f"reason_{i}"] for i in (1, 2, 3) if score[f"reason_{i}"]]
    assert reasons and all(f"User {score.user_id}: {reason}\n" in shown for reason in reasons)
    page = (finished_run.home / "report" / "Sparkify.html").read_text()
    assert all(reason in page for reason in reasons)
    unknown = CliRunner().invoke(cli, ["explain", "--user", "nobody"])
    assert unknown.exception.exit_code == 3
    (listing,) = named(str(unknown.exception))
    assert score.user_id in output_of(*listing)


def test_every_feature_that_the_model_reads_is_watched_for_drift(spark, settings):
    drift = spark.table("sparkify.fct_feature_drift")
    _, card = registered.registry(settings, settings.model).card()
    read = [row.feature for row in drift.select("feature").collect()]
    assert sorted(read) == sorted(columns_read(card))
    assert drift.where("psi < 0 or psi_bound <= 0 and psi > 0 or q_value < p_value").count() == 0
    ledger_rows = spark.table("sparkify.quality_ledger").where("check_name like '%learned from%'")
    assert ledger_rows.count() == 1


def test_a_score_says_what_it_means_and_whether_its_model_is_proven(spark, settings):
    rows = spark.table("sparkify_ml.churn_scores")
    names = ["horizon_days", "churn_definition", "active_days", "feature_windows"]
    (found,) = rows.select(*names, "snapshot_weekday", "is_proven").distinct().collect()
    built = spark.table("sparkify.dim_definitions").first()
    assert tuple(found)[:5] == tuple(built)[:5]
    assert tuple(built)[:5] == (14, "cancelled: Cancellation Confirmation", 28, "7, 28", "Monday")
    version = registered.registry(settings, settings.model).versions()[-1]
    assert found.is_proven == (version.skill.ci_low > 0)
    assert ("It is unproven" in version.decision) == (not found.is_proven)
    check = spark.table("sparkify.quality_ledger").where("check_name like '%beats the base rate'")
    assert check.orderBy("checked_at").first().status == ("pass" if found.is_proven else "warn")
    assert len(rows.first().feature_names) > 40


def test_snapshots_of_another_build_than_their_meaning_are_not_learned_from(
    spark, settings, monkeypatch
):
    built = datasets.definitions(spark, settings)
    assert re.fullmatch(r"\w{32}", built["snapshots_made_by"])
    datasets.check_one_build(spark, settings)
    other = built | {"snapshots_made_by": "that of a build that was cut short"}
    monkeypatch.setattr(datasets, "definitions", lambda *_: dict(other))
    with pytest.raises(BadInput, match="are not of one build"):
        train_snapshots(spark, settings)


@pytest.mark.long
def test_scores_of_other_features_than_those_of_now_are_told(spark, settings, monkeypatch):
    assert scores.why_stale(spark, settings) == ""
    features = datasets.feature_table(spark, settings, datasets.FEATURES)
    turned = replace(features, rows=features.rows.orderBy(F.rand(1)).repartition(3))
    assert scores.fingerprint(turned) == scores.fingerprint(features)
    late = replace(features, rows=features.rows.withColumn("error_count_7d", F.lit(99)))
    fewer = replace(features, rows=features.rows.where("user_id != '36'"))
    for changed in (late, fewer):
        with monkeypatch.context() as patched:
            patched.setattr(scores, "feature_table", lambda *_, of=changed: of)
            assert "have changed since they were scored" in scores.why_stale(spark, settings)
            said = CliRunner().invoke(cli, ["targets"])
            assert "have changed since they were scored" in " ".join(said.output.split())
            said = CliRunner().invoke(cli, ["status"])
            assert "of other features than those of now" in " ".join(said.output.split())


def test_a_list_by_another_version_than_the_champion_is_told(spark, settings, monkeypatch):
    champion = registered.registry(settings, settings.model).champion()[0].version
    assert registered.why_of_another(spark, settings, champion) == ""
    said = registered.why_of_another(spark, settings, 99)
    begins = f"The list is by version 99, and version {champion} is the champion now. "
    assert said == f"{begins}`sparkify score` makes it anew."
    other = datasets.definitions(spark, settings) | {"horizon_days": "7"}
    monkeypatch.setattr(datasets, "definitions", lambda *_: dict(other))
    said = registered.why_of_another(spark, settings, 99)
    assert said.startswith(f"{begins}The champion, ") and "`sparkify train` makes one" in said
    monkeypatch.setattr("sparkify.commands.targets.why_of_another", lambda *_: begins)
    assert begins.strip() in " ".join(CliRunner().invoke(cli, ["targets"]).output.split())


def test_a_name_is_of_models_of_one_kind_of_table(settings):
    registered.check_kind(settings, settings.model, is_own=False)
    registered.check_kind(settings, "nobody", is_own=True)
    with pytest.raises(WrongUse, match="is the name of a model of the snapshots; give another"):
        registered.check_kind(settings, settings.model, is_own=True)


def test_drift_needs_no_table_but_the_one_that_is_scored(spark, settings, monkeypatch):
    features = datasets.feature_table(spark, settings, datasets.FEATURES)
    champion, _ = registered.champion_of(settings, features)

    def gone(*_, **__):
        raise BadInput("the snapshots are gone")

    with monkeypatch.context() as patched:
        patched.setattr(registered, "feature_table", gone)
        kept = registered.drift_reference(spark, settings, champion)
    # An older card has none: the present snapshots are those learned from.
    champion.metadata.pop("reference")
    assert kept.past
    assert registered.drift_reference(spark, settings, champion) == replace(kept, past={})


@pytest.mark.long
def test_a_champion_of_other_definitions_scores_nobody_and_the_marts_are_built(
    spark, settings, monkeypatch
):
    table = settings.ml_table("churn_scores")
    before = spark.table(table).count()
    built = datasets.definitions(spark, settings)
    other = built | {"horizon_days": "7"}
    for module in (datasets, scores):
        monkeypatch.setattr(module, "definitions", lambda *_: dict(other))
    done = CliRunner().invoke(cli, ["score"])
    assert "horizon_days 14, and the table of 7. `sparkify train`" in str(done.exception)
    assert "Building the retention marts" in done.output
    assert spark.table(table).count() == before
    said = CliRunner().invoke(cli, ["status"]).output
    assert "In use          no model; version" in said and "does not fit the tables" in said
    assert "Drift" not in said
    # Those of another horizon are no scores of now.
    assert re.search(r"Scores +none as of \d{4}-\d\d-\d\d$", said, re.M)


def test_where_nobody_is_active_nobody_is_scored_and_no_drift_is_told(spark, settings, monkeypatch):
    features = datasets.feature_table(spark, settings, datasets.FEATURES)
    empty = replace(features, rows=features.rows.limit(0))
    tables = [settings.ml_table(name) for name in ("churn_scores", "feature_drift")]
    before = [spark.table(name).count() for name in tables]
    monkeypatch.setattr(score, "feature_table", lambda *_: empty)
    assert score.score_stage(spark, settings) == scores.NOBODY
    assert [spark.table(name).count() for name in tables] == before


@pytest.mark.long
def test_why_a_training_was_refused_is_told_until_one_succeeds(
    spark, settings, finished_run, tmp_path, monkeypatch
):
    def refuse(*_, **__):
        raise NotTrainable("18 users churned, 20 are needed.")

    with monkeypatch.context() as patched:
        patched.setattr(train, "fit_and_register", refuse)
        assert isinstance(CliRunner().invoke(cli, ["train"]).exception, NotTrainable)
    told = "The last training was refused: 18 users churned, 20 are needed."
    assert ledger.refusal(spark, settings) == told
    features = datasets.feature_table(spark, settings, datasets.FEATURES)
    champion, said = registered.champion_of(settings, features)
    assert champion and told not in said
    monkeypatch.setenv("SPARKIFY_HOME", str(tmp_path))
    empty = Settings.from_environment()
    assert registered.champion_of(empty, features)[1].endswith(told)
    ledger.record(spark, settings, [train.trainable_check()], tool="ml")
    assert ledger.refusal(spark, settings) == ""


def test_a_call_with_other_vars_than_the_tables_is_refused(spark, settings):
    for name, value, said in (
        ("horizon_days", 7, "14, and --vars says 7"),
        ("feature_windows", [7, 14, 28], "7, 28, and --vars says 7, 14, 28"),
        ("churn_definition", "inactive", "cancelled: .*, and --vars says inactive"),
    ):
        with pytest.raises(BadInput, match=f"built with {name} {said}"):
            datasets.definitions(spark, replace(settings, overrides={name: value}))
    for same in ({"feature_windows": [7, 28]}, {"churn_definition": "cancelled"}, {}):
        assert datasets.definitions(spark, replace(settings, overrides=same))


@pytest.mark.long
def test_scores_that_are_older_than_their_meaning_are_kept_and_judged(spark, settings):
    table = settings.ml_table("churn_scores")
    version = spark.sql(f"describe history {table}").first().version
    new = ["horizon_days", "churn_definition", "active_days", "feature_windows"]
    new += ["snapshot_weekday", "feature_names", "is_proven", "is_shadow"]
    older = f"select * except ({', '.join(new)}) from {table}"
    spark.sql(f"create or replace table {table} using delta as {older}")
    spark.sql("drop view sparkify.dim_definitions")
    try:
        retention_stage(spark, settings)
        assert set(new) <= set(spark.table(table).columns)
        outcomes = spark.table("sparkify.fct_score_outcomes")
        assert [row.horizon_days for row in outcomes.collect()] == [14] * outcomes.count()
        assert not spark.table("sparkify.fct_retention_targets").isEmpty()
    finally:
        spark.sql(f"restore table {table} to version as of {version}")
        retention_stage(spark, settings)


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


def test_every_training_row_is_predicted_out_of_the_one_fold_of_its_user(spark):
    run = spark.table("sparkify.fct_model_performance").orderBy("trained_at").first().run_id
    oof = spark.table("sparkify_ml.out_of_fold").where(f"run_id = '{run}'").toPandas()
    learned = spark.table("sparkify.fct_user_snapshots").where("is_churned_next_14d is not null")
    learned = learned.where(f"as_of_date <= '{oof['as_of_date'].max()}'").toPandas()
    label = learned.set_index(["user_id", "as_of_date"])["is_churned_next_14d"].astype(int)
    assert oof.groupby("user_id")["fold"].nunique().max() == 1
    assert set(oof["fold"]) == set(range(TrainOptions().folds))
    assert set(oof["model"]) == set(TrainOptions().models)
    for _, rows in oof.groupby("model"):
        told = rows.set_index(["user_id", "as_of_date"])["label"]
        assert told.index.is_unique
        assert told.to_dict() == label.to_dict()
    assert oof["probability"].between(0, 1, inclusive="neither").all()


def test_a_run_leaves_its_folds_and_its_policies_with_the_model(spark, finished_run):
    run = spark.table("sparkify.fct_model_performance").orderBy("trained_at").first().run_id
    folder = finished_run.home / "mlflow" / "artifacts" / run / "artifacts" / "model"
    tuning = pd.read_csv(folder / "tuning.csv")
    folds = tuning.groupby(["split", "learner", "point"])["fold"].apply(sorted)
    assert all(each == list(range(TrainOptions().folds)) for each in folds)
    assert tuning["log_loss"].gt(0).all()
    chosen = tuning[tuning["chosen"]].groupby(["split", "learner"])["point"].nunique()
    assert chosen.eq(1).all() and ALL_ROWS in chosen.index.get_level_values("split")
    assert len(pd.read_csv(folder / "out_of_fold.csv")) > 0
    assert "top decile by inactivity" in set(pd.read_csv(folder / "policies.csv")["policy"])


def test_of_a_share_of_the_users_it_is_not_told_which_code_made_it(spark, settings, monkeypatch):
    """With the share changes what tells the code, and a trial on a few is no update."""
    built = datasets.definitions(spark, settings)
    assert datasets.feature_table(spark, settings, datasets.SNAPSHOTS).spec.made_by
    monkeypatch.setattr(datasets, "definitions", lambda *_: built | {"user_share": "0.5"})
    assert datasets.feature_table(spark, settings, datasets.SNAPSHOTS).spec.made_by == ""


def test_an_offer_has_the_same_value_in_sql_and_in_python(spark, settings):
    targets = spark.table("sparkify.fct_retention_targets").toPandas()
    p, offer = targets["probability"].to_numpy(), settings.offer
    assert targets["expected_value"].to_numpy() == pytest.approx(contact_profit(p, offer))
    assert set(targets["customer_value"]) == {200}
    assert (targets["is_worth_contacting"] == (p > break_even(offer))).all()
    assert set(targets["assumptions"]) == {offer.assumptions}
    assert set(targets["currency"]) == {offer.currency} == {"USD"}


def test_money_is_shown_beside_the_assumptions_that_it_rests_on_or_not_at_all(spark, finished_run):
    other = replace(finished_run, overrides={"currency": "EUR", "customer_value": 60})
    page = finished_run.home / "report" / "Sparkify.html"
    before = page.read_bytes()
    said = "made by the vars customer_value 200, .*10 EUR; acceptance 0.3 now; run `sparkify score`"
    with pytest.raises(BadInput, match=said):
        list_targets(other, top=1, everybody=False, out=None)
    with pytest.raises(BadInput, match=said):
        report.report_stage(spark, other)
    assert page.read_bytes() == before


def test_the_offer_is_that_of_the_vars_of_the_project_and_of_the_call(settings):
    names = {"customer_value": 90, "contact_cost": 2, "offer_cost": 7, "acceptance": 0.6}
    names["currency"] = "EUR"
    assert replace(settings, overrides=names).offer == Offer(**names)
    assert settings.offer.customer_value == 200
    by_level = {"customer_value": {"paid": 90, "free": 30}}
    found = replace(settings, overrides=by_level).offer
    assert (found.customer_value, found.free_value) == (90, 30)


def predictions(spark, run: str) -> list:
    """What every candidate of a run said in its backtest, bit by bit."""
    rows = spark.table("sparkify_ml.backtest").where(f"run_id = '{run}'").drop("run_id")
    return sorted(map(tuple, rows.collect()))


@pytest.fixture(scope="module")
def again(spark, settings) -> list[str]:
    """What a training prints, and one on the same version of a table that has changed since."""
    snapshots = settings.table(datasets.SNAPSHOTS)
    version = datasets.feature_table(spark, settings, datasets.SNAPSHOTS).spec.version
    options = ["--models", "logistic_regression", "--origins", "1", "--name", "again"]

    def verdicts() -> int:
        names = [ledger.TRAINABLE, ledger.PROVEN]
        return (
            spark.table(settings.table(ledger.LEDGER))
            .where(F.col("check_name").isin(names))
            .count()
        )

    before = verdicts()
    first = CliRunner().invoke(cli, ["train", *options])
    spark.sql(f"delete from {snapshots} where as_of_date <= '2018-10-15'")
    try:
        second = CliRunner().invoke(cli, ["train", *options, "--feature-version", str(version)])
    finally:
        spark.sql(f"restore table {snapshots} to version as of {version}")
    assert (first.exit_code, second.exit_code) == (0, 0), (first.exception, second.exception)
    # Trials say nothing of the model in use.
    assert verdicts() == before
    return [first.output, second.output]


@pytest.mark.long
def test_an_old_table_version_is_trained_on_again_to_the_last_digit(spark, settings, again):
    versions = registered.registry(settings, "again").versions()
    second, first = (predictions(spark, version.run_id) for version in versions)
    assert len(first) > 500
    assert first == second
    with pytest.raises(BadInput, match="has no version 999"):
        datasets.feature_table(spark, settings, datasets.SNAPSHOTS, version=999)


@pytest.mark.long
def test_what_is_written_is_declared(spark, settings, monkeypatch):
    written = {}

    def note(spark, settings, rows, table):
        written[table.split(".")[1]] = set(rows.columns)

    for module in (score, train, ledger):
        monkeypatch.setattr(module, "append", note)
    monkeypatch.setattr(train, "append_pandas", note)
    score.score_stage(spark, settings)
    options = TrainOptions(models=("logistic_regression",), origins=1)
    train.train_snapshots(spark, settings, options=options, model="noted")
    expected = {name: set(columns) for name, columns in declared().items()}
    expected.pop("erased_users")  # by `sparkify erase`
    assert written == expected


@pytest.mark.long
def test_maintenance_keeps_what_every_model_learned_from(settings, again):
    versions = registered.registry(settings, settings.model).versions()
    versions += registered.registry(settings, "again").versions()
    learned = maintain.learned_from(settings)
    assert learned[settings.table(datasets.SNAPSHOTS)] >= {each.table_version for each in versions}


@pytest.mark.long
def test_training_shows_the_score_of_every_fold_and_of_one_learner_no_stack(again):
    for shown in again:
        assert "Tuning: log loss by fold of users" in shown
        loss = r"\d\.\d{4}"
        point = r"columns (?:core|all), regParam [\d.]+"
        row = rf"logistic_regression\s+{point}\s+{loss}((?: +{loss})+)"
        assert len(re.search(row, shown)[1].split()) == TrainOptions().folds
        assert "weights of the stack" not in shown and "log loss of stack" not in shown
        assert "top decile by inactivity" in shown


@pytest.mark.long
def test_a_version_is_promoted_and_rolled_back_by_command(settings, again):
    def models(*words: str) -> str:
        done = CliRunner().invoke(cli, ["models", "--name", "again", *words])
        assert done.exit_code == 0, done.exception
        return done.output

    assert "again version 2 (" in models("promote", "2")
    listed = models()
    assert "version 2 champion" in listed and "It was promoted by hand on" in listed
    assert "again version 1 (" in models("rollback")
    listed = models()
    assert "It was rolled back to by hand on" in listed
    (promote,) = named(refusal("models", "--name", "again", "rollback"), VERSION="2")
    assert "again version 2 (" in output_of(*promote)
    assert "again version 1 (" in models("promote", "1")
    assert "version 1 champion" in listed and "version 2 champion" not in listed


@pytest.mark.long
def test_the_public_protocol_stands_above_the_honest_one_of_the_deployed_model(spark, settings):
    table = "sparkify_ml.model_performance"
    # Not what other tests trained under another name.
    own = spark.table(table).where(F.col("model_name") == settings.model)
    last = own.orderBy("trained_at", ascending=False).first()
    versions = registered.registry(settings, last.model_name).versions()
    deployed = next(version for version in versions if version.run_id == last.run_id)
    before = spark.sql(f"describe history {table}").first().version
    # Less loss than the deployed candidate's must not draw the comparison to another one.
    spark.sql(
        f"update {table} set value = 0 where run_id = '{last.run_id}' and metric = 'log_loss'"
        f" and candidate != '{deployed.candidate}'"
    )
    try:
        shown = CliRunner().invoke(cli, ["evaluate", "--protocol", "leaky"]).output
    finally:
        spark.sql(f"restore table {table} to version as of {before}")
    public, honest = "random split of whole histories", "backtest of what was known"
    assert shown.count(public) == shown.count(honest) == 5
    found = [re.search(rf"roc_auc +{way} +(\w+) +(0\.\d+) ", shown) for way in (public, honest)]
    assert found[1][1] == deployed.candidate
    assert float(found[1][2]) == pytest.approx(deployed.metrics["roc_auc"][0], abs=6e-4)
    assert float(found[0][2]) > float(found[1][2])


def test_survival_after_a_late_entry_agrees_with_lifelines(spark):
    everybody = spark.table("sparkify.dim_users").toPandas()
    users = everybody.dropna(subset="first_registered_at").copy()
    days = {name: users[name].dt.normalize() for name in ("first_registered_at", "first_seen_at")}
    left = users["churned_at"].fillna(everybody["last_seen_at"].max()).dt.normalize()
    users["entry"] = (days["first_seen_at"] - days["first_registered_at"]).dt.days.clip(lower=0)
    users["exit"] = (left - days["first_registered_at"]).dt.days.clip(lower=0)
    users["registration_week"] = (
        users["first_registered_at"].dt.to_period("W-SUN").dt.start_time.dt.strftime("%Y-%m-%d")
    )
    users["all"] = "all"
    curves = spark.table("sparkify.fct_retention_cohorts").toPandas()
    assert curves["survival"].notna().equals(curves["entered_at_tenure"].notna())
    curves = curves.dropna(subset="entered_at_tenure")
    assert (curves["at_risk_count"] >= 10).all()
    compared = 0
    for (by, cohort, start), curve in curves.groupby(["cohort_by", "cohort", "entered_at_tenure"]):
        column = "first_level" if by == "level" else by
        stayed = users[(users[column].astype(str) == cohort) & (users["exit"] >= start)]
        # At risk from the day after the first in the data, and of those who stay until `start`.
        entry = (stayed["entry"] + 0.5).clip(lower=start - 0.5)
        members, entry = stayed[entry < stayed["exit"]], entry[entry < stayed["exit"]]
        # Afterwards there may be nobody, which lifelines refuses.
        end = curve["tenure_days"].max()
        members, entry = members[entry < end], entry[entry < end]
        is_left = members["is_churned"] & (members["exit"] <= end)
        fitted = KaplanMeierFitter().fit(members["exit"].clip(upper=end), is_left, entry=entry)
        expected = fitted.survival_function_at_times(curve["tenure_days"])
        pd.testing.assert_series_equal(
            curve["survival"], expected.set_axis(curve.index), check_names=False, rtol=1e-9
        )
        limits = fitted.confidence_interval_.reindex(curve["tenure_days"], method="ffill")
        inside = curve["ci_low"].notna().to_numpy()
        for column, limit in zip(("ci_low", "ci_high"), limits.to_numpy()[inside].T, strict=True):
            assert curve[column][inside].to_numpy() == pytest.approx(limit, rel=1e-9)
        compared += inside.sum()
    assert compared > 100


def test_every_file_of_a_home_is_in_the_inventory(finished_run):
    home = finished_run.home
    files = [file for file in home.rglob("*") if file.is_file()]
    assert len(files) > 100
    # Written by the suite's own fixtures.
    own = {home / "summary.json"}
    assert [str(f) for f in files if f not in own and personal_files.rule_of(f, home) is None] == []


@pytest.mark.slow
def test_scores_are_made_by_what_their_want_names(finished_run, spark, tmp_path, monkeypatch):
    """In a home without a model, then without a list, then with vars that made another list."""
    monkeypatch.setenv("SPARKIFY_HOME", str(tmp_path))
    for asked in (("score",), ("explain", "--user", "nobody"), ("models",), ("evaluate",)):
        assert named(refusal(*asked))[-1] == ("train",)
    output_of("train", "--models", "logistic_regression", "--origins", "1")
    spark.sql("delete from sparkify.fct_retention_targets")
    (score,) = named(refusal("targets"))
    output_of(*score)
    assert "active users" in output_of("targets", "--everybody")
    other = ("--vars", "{currency: EUR, customer_value: 60}", "targets", "--everybody")
    (score,) = named(refusal(*other))
    output_of(*score)
    assert "EUR" in output_of(*other)
