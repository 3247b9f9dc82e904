"""Small inputs after public bug reports, and what is right for each."""

import os
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ml.preprocessing import find_columns, find_written
from sparkify import own_table, transform
from sparkify.cli import cli

pytestmark = pytest.mark.long

READ = "+stg_sparkify__events", "stg_sparkify__rejected_events", "stg_sparkify__nulled_values"


@pytest.fixture
def counted(spark, settings):
    """A function that stages a file or folder, and counts what became of it."""

    def count(events: Path) -> dict[str, int]:
        transform.register_events(settings, str(events))
        transform.run_dbt(settings, "run", "--select", *READ)
        return (
            spark.table("sparkify.stg_sparkify__events")
            .selectExpr(
                "sum(copy_count) as accepted",
                "sum(copy_count - 1) as duplicates",
                "count(distinct user_id) as users",
                "count(distinct user_id, session_id) as sessions",
                "count_if(status is null or item_in_session is null) as unknown",
                "(select count(*) from sparkify.stg_sparkify__rejected_events) as rejected",
                "cast(min(event_at) as string) as first",
                "cast(max(event_at) as string) as last",
            )
            .first()
            .asDict()
        )

    return count


def assert_counts(found: dict, **right: object) -> None:
    assert {name: found[name] for name in right} == right


@pytest.mark.parametrize("name", ["log.json", "firehose.json"])
def test_objects_on_one_line_are_as_many_events(counted, cases, name):
    found = counted(cases / "two-objects-a-line" / name)
    assert_counts(found, accepted=20, duplicates=0, rejected=0)


def test_whole_numbers_as_floats_are_the_same_numbers(counted, cases):
    folder = cases / "whole-numbers-as-floats"
    right = {"accepted": 2 * 1215, "duplicates": 1215, "sessions": 245, "unknown": 0}
    # The files of the folder alone: another case lies in one below.
    assert_counts(counted(one_folder(folder, "*.gz")), **right)
    assert_counts(counted(folder / "items"), accepted=3, duplicates=0)


def one_folder(folder: Path, pattern: str) -> Path:
    """A folder of links to the files that match, and to nothing else."""
    made = Path(os.environ["SPARKIFY_HOME"]).parent / f"only {folder.name}"
    made.mkdir(exist_ok=True)
    for file in folder.glob(pattern):
        link = made / file.name
        link.unlink(missing_ok=True)
        link.symlink_to(file)
    return made


def test_daily_parquet_files_of_other_types_are_one_log(counted, cases):
    folder = cases / "parquet-daily-files-differ-in-type"
    found = counted(one_folder(folder, "*.parquet"))
    assert_counts(found, accepted=1215, rejected=1)
    found = counted(folder / "mixed-id")
    assert_counts(found, accepted=1215, users=12)


def test_times_without_a_zone_are_utc(spark, counted, cases):
    folder = cases / "parquet-naive-timestamp"
    period = {"first": "2018-10-01 08:00:00", "last": "2018-11-04 17:10:30"}
    for name in ("base.jsonl.gz", "ts.parquet"):
        assert_counts(counted(folder / name), accepted=1215, rejected=0, **period)
    counted(folder / "registration.parquet")
    events = spark.table("sparkify.stg_sparkify__events")
    times = events.selectExpr("cast(registered_at as string) as t").distinct().collect()
    assert "2018-06-26 08:00:00" in {row.t for row in times}


def test_a_first_build_that_is_refused_names_a_query_that_runs(spark, cases, monkeypatch):
    monkeypatch.setenv("SPARKIFY_SCHEMA", "first_run")
    log = cases / "first-run-rejected-advice" / "log.json"
    try:
        refused = call("build", "--events", str(log))
        assert refused.exception.exit_code == 4
        query = re.search(r'sparkify sql "(.*?)"', str(refused.exception))[1]
        shown = call("sql", query, "--format", "csv")
        assert shown.exit_code == 0, shown.exception
        reasons = {line.split(",")[0] for line in shown.output.splitlines()[1:]}
        assert reasons == {"invalid_ts"}
    finally:
        for schema in ("first_run", "first_run_raw", "first_run_ml"):
            spark.sql(f"drop schema if exists {schema} cascade")


def call(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments)


def test_a_number_written_as_text_in_an_own_table_is_a_number(spark, settings, cases):
    source = own_table.find_source(str(cases / "number-as-text-in-own-table/telco-like.parquet"))
    rows = own_table.prepare(own_table.read(spark, settings, source), id="customer")
    columns = find_written(rows, find_columns(rows, ignore=["customer", "churn"]))
    kinds = {each.name: each.kind for each in columns.features}
    assert kinds == {"total": "numeric", "contract": "category"} and not columns.dropped
