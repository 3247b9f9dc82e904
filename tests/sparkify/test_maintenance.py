"""`sparkify maintain`: fewer files and no needless versions, and nothing lost that is needed."""

import os
import re
import time

import pytest
from click.testing import CliRunner
from py4j.protocol import Py4JError
from pyspark.errors import PySparkException

from expectations.previous import previous_build
from ml.artifacts import path_of
from sparkify import datasets
from sparkify.cli import cli
from sparkify.commands import maintain
from sparkify.errors import BadInput
from sparkify.settings import Settings
from sparkify.versions import history, readable

pytestmark = pytest.mark.long

SNAPSHOTS, DAYS = "kept.fct_user_snapshots", "kept.fct_user_days"


@pytest.fixture
def written(spark, settings, monkeypatch) -> Settings:
    """Two tables that were made, appended to and made anew; one has a view and a neighbour."""
    monkeypatch.setenv("SPARKIFY_SCHEMA", "kept")
    for schema in ("kept", "kept_raw"):
        spark.sql(f"create schema {schema}")
    spark.sql("create table kept_raw.lines using delta as select 'a' as value")
    for table in (SNAPSHOTS, DAYS):
        for n in range(3):
            verb = "insert into" if n else "create table"
            using = "" if n else "using delta as"
            spark.sql(f"{verb} {table} {using} select {n} as n, 'v{n}' as user_id")
        spark.sql(f"insert overwrite {table} select n + 10 as n, user_id from {table}")
        spark.sql(f"insert into {table} select 13 as n, 'v3' as user_id")
    spark.sql(f"create view kept.shown as select * from {DAYS}")
    yield Settings.from_environment()
    for schema in ("kept", "kept_raw"):
        spark.sql(f"drop schema {schema} cascade")


def values(spark, table: str, version: int | None = None) -> list[int]:
    as_of = "" if version is None else f" version as of {version}"
    return sorted(row.n for row in spark.sql(f"select n from {table}{as_of}").collect())


def test_maintenance_frees_what_is_old_and_keeps_what_models_learned_from(
    spark, written, monkeypatch
):
    monkeypatch.setattr(maintain, "learned_from", lambda settings: {SNAPSHOTS: {1, 99}})
    before = {name: spark.conf.get(name, None) for name in maintain.DELTA}
    done = CliRunner().invoke(cli, ["maintain", "--keep-days", "0"])
    assert done.exit_code == 0, done.exception
    assert {name: spark.conf.get(name, None) for name in maintain.DELTA} == before
    shown = " ".join(done.output.split())
    assert "2 tables: " in shown and "kept.shown" not in shown and "kept_raw" not in shown
    assert f"Models learned from {SNAPSHOTS} version 1: kept." in shown
    assert "loses its files" in done.stderr
    for table in (SNAPSHOTS, DAYS):
        assert values(spark, table) == [10, 11, 12, 13]
        assert maintain.file_count(spark, table) == 1
    # What a model learned from, and the build before it, are there; elsewhere they are gone.
    assert values(spark, SNAPSHOTS, version=1) == [0, 1]
    assert datasets.feature_table(spark, written, datasets.SNAPSHOTS, version=1).rows.count() == 2
    with pytest.raises((PySparkException, Py4JError)):
        values(spark, DAYS, version=1)
    with pytest.raises(BadInput, match="has no version 1; it has ") as refused:
        datasets.feature_table(spark, written, "fct_user_days", version=1)
    # What tells more of its versions.
    query = re.search(r'`sparkify sql "(.*?)"`', str(refused.value))[1]
    assert {row.version for row in spark.sql(query).collect()} > {1}
    assert previous_build(spark, SNAPSHOTS, compared=["n"]).row_count == 3
    assert previous_build(spark, DAYS, compared=["n"]) is None
    freed = {table: bytes_freed(spark, table) for table in (SNAPSHOTS, DAYS)}
    assert freed[SNAPSHOTS] == 0 < freed[DAYS]
    # A second time there is nothing to do, and every version since the first can be read.
    with maintain.delta_settings(spark):
        again = maintain.maintain_table(spark, DAYS, keep_days=7)
    assert (again.files_before, again.files_after, again.bytes_freed) == (1, 1, 0)
    for version in readable(history(spark, DAYS)):
        assert values(spark, DAYS, version) == [10, 11, 12, 13]


def bytes_freed(spark, table: str) -> int:
    """Bytes that the last VACUUM deleted."""
    found = spark.sql(f"describe history {table}").where("operation = 'VACUUM START'").first()
    return int(found["operationMetrics"]["sizeOfDataToDelete"])


def test_what_was_current_in_the_days_to_keep_stays_readable(spark, written):
    with maintain.delta_settings(spark):
        found = maintain.maintain_table(spark, DAYS, keep_days=1)
    assert found.kept_from == 0 and found.bytes_freed == 0
    assert values(spark, DAYS, version=0) == [0]


def aged(spark, table: str, days: list[int]) -> None:
    """Let the versions of a table, and their files, be so many days old."""
    folder = path_of(spark.sql(f"describe detail {table}").first()["location"])
    for commit, age in zip(sorted((folder / "_delta_log").glob("*.json")), days, strict=True):
        then = time.time() - age * 86_400
        text = re.sub(
            r'"deletionTimestamp":\d+', f'"deletionTimestamp":{then * 1000:.0f}', commit.read_text()
        )
        commit.write_text(text)
        added = re.findall(r'"add":\{"path":"([^"]+)"', text)
        for file in (commit, *(folder / name for name in added)):
            os.utime(file, (then, then))
    spark._jvm.org.apache.spark.sql.delta.DeltaLog.clearCache()


def test_versions_of_weeks_ago_stay_readable_until_they_are_freed(spark, written):
    """A nightly build compares with the last write, which may be of the week before."""
    for table in (SNAPSHOTS, DAYS):
        aged(spark, table, [40, 35, 33, 10, 8])
    assert previous_build(spark, SNAPSHOTS, compared=["n"]).row_count == 3
    found = datasets.feature_table(spark, written, datasets.SNAPSHOTS, version=1)
    assert found.rows.count() == 2
    with maintain.delta_settings(spark):
        kept = maintain.maintain_table(spark, DAYS, keep_days=30)
        needed = maintain.maintain_table(spark, SNAPSHOTS, keep_days=0, needed={1, 99})
        # What was current 30 days ago is gone from the table for ten.
        assert (kept.kept_from, kept.bytes_freed) == (2, 0)
        assert values(spark, DAYS, version=2) == [0, 1, 2]
        assert needed.needed == (1,) and values(spark, SNAPSHOTS, version=1) == [0, 1]
        freed = maintain.maintain_table(spark, DAYS, keep_days=9)
    assert freed.kept_from == 3 and freed.bytes_freed > 0
    assert values(spark, DAYS, version=3) == [10, 11, 12]
    with pytest.raises((PySparkException, Py4JError)):
        values(spark, DAYS, version=2)


def test_a_version_of_other_definitions_does_not_mean_what_the_tables_mean_now(spark, written):
    for definition in ("a", "b"):
        spark.sql(
            f"create or replace table {SNAPSHOTS} using delta tblproperties"
            f" ('sparkify.definition' = '{definition}') as select 1 as n, 'v1' as user_id"
        )
        spark.sql(f"insert into {SNAPSHOTS} select 2 as n, 'v2' as user_id")

    def definitions(version: int | None = None):
        found = datasets.feature_table(spark, written, datasets.SNAPSHOTS, version=version)
        return found.spec.definitions

    # Five versions were there before.
    assert definitions(6) == {datasets.AS_OF_THEN: "those of version 6"}
    assert definitions(7) == definitions() == {}


def test_a_table_that_forgets_after_a_week_is_told_not_to(spark, written):
    log, files = maintain.REMEMBERED
    # In units of one's own, and longer than what is asked for.
    for given, told in (("520 WEEKS", 3640), ("interval 1 weeks", 90)):
        both = f"'{log}' = '{given}', '{files}' = 'interval 1 weeks'"
        spark.sql(f"alter table {DAYS} set tblproperties ({both})")
        with maintain.delta_settings(spark):
            maintain.maintain_table(spark, DAYS, keep_days=30)
        rows = spark.sql(f"show tblproperties {DAYS}").collect()
        found = {row["key"]: row["value"] for row in rows}
        assert (found[log], found[files]) == (f"interval {told} days", "interval 90 days")
    assert readable(history(spark, DAYS))[-1] == 0


def test_plain_parquet_has_nothing_to_maintain(monkeypatch):
    monkeypatch.setenv("SPARKIFY_TARGET", "parquet")
    done = CliRunner().invoke(cli, ["maintain"])
    assert done.exit_code == 0 and "Nothing to do" in done.output


def test_a_schema_without_tables_says_how_to_get_some(spark, monkeypatch):
    monkeypatch.setenv("SPARKIFY_SCHEMA", "nobody")
    assert "build --events" in str(CliRunner().invoke(cli, ["maintain"]).exception)
