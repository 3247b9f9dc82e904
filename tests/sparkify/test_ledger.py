"""Which runs `sparkify checks` shows."""

from datetime import datetime
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from sparkify import ledger
from sparkify.cli import cli
from sparkify.errors import BadInput
from sparkify.settings import Settings

COLUMNS = "run_id string, checked_at timestamp, layer string, table_name string, check_name string,"
COLUMNS += " tool string, severity string, status string, failure_count bigint, row_count bigint,"
COLUMNS += " detail string"


@pytest.fixture
def record(spark, monkeypatch):
    """A function that makes a ledger of (run, day, check, status)."""
    monkeypatch.setenv("SPARKIFY_SCHEMA", "written")

    def write(*rows: tuple[str, int, str, str]) -> None:
        full = [
            (run, datetime(2018, 11, day), "core", "t", check, "dbt", "error", status, 0, 9, "[/x]")
            for run, day, check, status in rows
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
    assert "dbt run, the last time at 2018-11-04" in shown


def test_a_bare_dbt_run_before_the_last_run_is_not_told_of(record):
    record(("bare", 2, "dbt run", "pass"), ("b", 3, "unique", "pass"))
    shown = CliRunner().invoke(cli, ["checks"]).output
    assert "2018-11-03" in shown and "dbt run" not in shown


def test_bare_dbt_runs_alone_have_checked_nothing(spark, record):
    record(("bare", 2, "dbt run", "pass"))
    with pytest.raises(BadInput, match="nothing has been checked yet"):
        ledger.show_checks(spark, Settings.from_environment())


def test_a_build_that_could_not_build_a_model_is_a_run(record):
    record(("a", 1, "unique", "pass"), ("b", 2, "the model can be built", "error"))
    assert "Checks of the run of 2018-11-02" in CliRunner().invoke(cli, ["checks"]).output


def test_a_verdict_on_a_model_counts_no_rows_that_it_is_not_of():
    counts = {"failure_count": 5, "row_count": 85}
    verdict = SimpleNamespace(tool="ml", detail="features that drift: a, b", **counts)
    assert ledger.found_instead(verdict) == "features that drift: a, b"
    check = SimpleNamespace(tool="great_expectations", detail="such as [1.5]", **counts)
    assert ledger.found_instead(check) == "5 of 85 such as [1.5]"
