"""Which runs `sparkify checks` shows."""

from datetime import datetime, timedelta
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from sparkify import ledger
from sparkify.cli import cli
from sparkify.commands import checks
from sparkify.errors import BadInput
from sparkify.settings import Settings

FIRST = datetime(2018, 11, 1)
LAYERS = {"unique": "staging", "accepted": "features"}
COLUMNS = "run_id string, checked_at timestamp, layer string, table_name string, check_name string,"
COLUMNS += " tool string, severity string, status string, failure_count bigint, row_count bigint,"
COLUMNS += " detail string"


@pytest.fixture
def record(spark, monkeypatch):
    """A function that makes a ledger of (run, day, check, status and, unless it is dbt, tool)."""
    monkeypatch.setenv("SPARKIFY_SCHEMA", "written")

    def write(*rows: tuple) -> None:
        full = [
            (run, FIRST + timedelta(days=day - 1), LAYERS.get(check, "core"), "t", check)
            + (*(tool or ["dbt"]), "error", status, 0, 9, "[/x]")
            for run, day, check, status, *tool in rows
        ]
        spark.sql("create schema if not exists written")
        spark.createDataFrame(full, COLUMNS).write.saveAsTable("written.quality_ledger")

    yield write
    spark.sql("drop schema written cascade")


def test_a_bare_dbt_run_is_neither_the_last_run_nor_the_one_before(record):
    record(
        ("a", 1, "unique", "pass"),
        ("bare", 2, "dbt run", "pass"),
        ("b", 3, "unique", "fail"),
        ("broken", 4, "dbt run", "error"),
        ("broken", 4, "the model can be built", "error"),
    )
    # A title is as wide as its table, and broken where that is narrow.
    shown = " ".join(CliRunner().invoke(cli, ["checks"]).output.split())
    assert "Checks of the run of 2018-11-03" in shown
    assert "Changed since the run of 2018-11-01" in shown
    assert "[/x]" in shown
    assert "dbt run at 2018-11-04 00:00:00 UTC could not build t ([/x])." in shown


def test_a_bare_dbt_run_before_the_last_run_is_not_told_of(record):
    record(("bare", 2, "dbt run", "pass"), ("b", 3, "unique", "pass"))
    shown = CliRunner().invoke(cli, ["checks"]).output
    assert "2018-11-03" in shown and "dbt run" not in shown


def test_a_table_that_was_written_after_its_checks_is_told_of(spark, record):
    spark.sql("create schema if not exists written")
    spark.sql("create table written.t using delta as select 1 as a")
    tomorrow = (datetime.now() - FIRST).days + 2
    record(("a", tomorrow, "unique", "pass"))
    said = (
        "t was written after the checks that stand; `sparkify build --events PATH` checks it again."
    )
    assert said not in " ".join(CliRunner().invoke(cli, ["checks"]).output.split())
    spark.sql("drop table written.quality_ledger")
    record(("a", 1, "unique", "pass"))
    assert said in " ".join(CliRunner().invoke(cli, ["checks"]).output.split())
    spark.sql("create or replace view written.v as select 1 as a")
    spark.sql("drop table written.t")
    spark.sql("alter view written.v rename to written.t")
    assert "written after" not in CliRunner().invoke(cli, ["checks"]).output


def test_bare_dbt_runs_alone_have_checked_nothing(spark, record):
    record(("bare", 2, "dbt run", "pass"))
    with pytest.raises(BadInput, match="nothing has been checked yet"):
        checks.show_checks(spark, Settings.from_environment())


def verdicts(spark) -> list[tuple[str, str]]:
    """How the checks of `record` stand."""
    runs = ledger.find_runs(spark, "written.quality_ledger").query("not is_bare")
    found = ledger.standing(spark, "written.quality_ledger", runs)
    return sorted(found[["check_name", "status"]].itertuples(index=False, name=None))


def test_a_command_that_makes_few_checks_leaves_the_others_as_they_stood(spark, record):
    record(
        ("a", 1, "removed since", "fail"),
        ("a", 1, "between", "pass", "great_expectations"),
        ("train", 1, ledger.PROVEN, "warn", "ml"),
        ("train", 1, "drift", "pass", "ml"),
        ("b", 2, "unique", "fail"),
        ("b", 2, "accepted", "skipped"),
        ("b", 2, "not_null", "pass"),
        ("b", 2, "between", "pass", "great_expectations"),
        ("score", 3, "drift", "warn", "ml"),
        ("retest", 4, "not_null", "fail"),
    )
    assert verdicts(spark) == [
        ("accepted", "skipped"),
        ("between", "pass"),
        ("drift", "warn"),
        ("not_null", "fail"),
        (ledger.PROVEN, "warn"),
        ("unique", "fail"),
    ]
    shown = " ".join(CliRunner().invoke(cli, ["checks"]).output.split())
    assert "Checks since the build of 2018-11-02" in shown
    assert "Changed since the run of 2018-11-03" in shown


def test_a_refused_training_is_told_until_one_succeeds_or_the_tables_are_built_anew(spark, record):
    settings = Settings.from_environment()
    built = [("a", 1, check, "pass") for check in ("unique", "not_null", "accepted")]
    built += [("a", 1, "between", "pass", "great_expectations")]
    refused = ("train", 2, ledger.TRAINABLE, "warn", "ml")
    record(*built, refused)
    assert ledger.refusal(spark, settings) == "The last training was refused: [/x]"
    spark.sql("drop table written.quality_ledger")
    record(*built, refused, ("again", 3, ledger.TRAINABLE, "pass", "ml"))
    assert ledger.refusal(spark, settings) == ""
    spark.sql("drop table written.quality_ledger")
    record(*built, refused, *(("c", 3, *check[2:]) for check in built))
    assert ledger.refusal(spark, settings) == ""


def test_a_build_that_could_not_build_a_model_is_a_run(record):
    record(("a", 1, "unique", "pass"), ("b", 2, "the model can be built", "error"))
    assert "Checks of the run of 2018-11-02" in CliRunner().invoke(cli, ["checks"]).output


def test_a_verdict_on_a_model_counts_no_rows_that_it_is_not_of():
    counts = {"check_name": "any", "failure_count": 5, "row_count": 85}
    verdict = SimpleNamespace(tool="ml", detail="features that drift: a, b", **counts)
    assert ledger.found_instead(verdict) == "features that drift: a, b"
    check = SimpleNamespace(tool="great_expectations", detail="such as [1.5]", **counts)
    assert ledger.found_instead(check) == "5 of 85 such as [1.5]"
    files = SimpleNamespace(tool="dbt", detail="", **counts | {"check_name": "wrong_files_rows"})
    assert ledger.found_instead(files).startswith("5 files, by its source_file")
