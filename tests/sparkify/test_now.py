"""What is told is of now: of this date, these definitions, this log, this user."""

from dataclasses import replace

import pytest

from sparkify.contacts import targets_of_now
from sparkify.datasets import as_built
from sparkify.events import SIMULATION, uri_of
from sparkify.personal_files import rule_of
from sparkify.report.data import is_simulated
from sparkify.settings import Settings


@pytest.fixture
def stale(spark, settings) -> Settings:
    """A home in which a build did not reach the marts: the list is of the week before."""
    spark.sql("create schema if not exists stale")
    for table, users in (
        ("fct_retention_targets", "('1', date'2018-11-26', 1), ('2', date'2018-11-26', 2)"),
        ("fct_user_features", "('1', date'2018-12-03', 0), ('3', date'2018-12-03', 0)"),
    ):
        spark.sql(
            f"create or replace table stale.{table} using delta as select * from values {users}"
            " as t(user_id, as_of_date, priority)"
        )
    yield replace(settings, schema="stale")
    spark.sql("drop schema stale cascade")


def test_nobody_is_contacted_by_the_list_of_another_date(spark, stale):
    assert targets_of_now(spark, stale).isEmpty()
    spark.sql(
        "insert into stale.fct_retention_targets values ('1', date'2018-12-03', 1),"
        " ('4', date'2018-12-03', 2)"
    )
    # The fourth is not active any more: late events told that the user had left.
    assert [row.user_id for row in targets_of_now(spark, stale).collect()] == ["1"]


def test_marts_are_made_by_the_definitions_that_the_tables_were_built_with(settings):
    built = {
        "horizon_days": "14",
        "active_days": "60",
        "feature_windows": "7, 60",
        "snapshot_weekday": "Monday",
        "churn_definition": "inactive: 30 days",
        "user_share": "1.0",
    }
    assert as_built(settings, built).overrides == {
        "active_days": 60,
        "feature_windows": [7, 60],
        "churn_definition": "inactive",
        "inactive_days": 30,
    }
    given = replace(settings, overrides={"currency": "EUR", "active_days": 60})
    assert as_built(given, built).overrides["currency"] == "EUR"
    usual = built | {"active_days": "28", "feature_windows": "7, 28"}
    usual["churn_definition"] = "cancelled: Cancellation Confirmation"
    # What is so already would have dbt read the whole project anew.
    assert as_built(settings, usual) == as_built(settings, {}) == settings


def test_a_simulated_log_is_one_behind_a_link_too(tmp_path):
    (tmp_path / "simulated" / "events").mkdir(parents=True)
    (tmp_path / "simulated" / SIMULATION).write_text("{}")
    (tmp_path / "simulated" / "events" / "a.json").write_text("{}")
    (tmp_path / "log").symlink_to(tmp_path / "simulated" / "events")
    assert is_simulated(uri_of(tmp_path / "log" / "a.json"))
    (tmp_path / "b.json").write_text("{}")
    assert not is_simulated(uri_of(tmp_path / "b.json"))


def test_what_a_killed_command_had_begun_to_write_is_erased(tmp_path):
    for name in ("mlflow/artifacts/1/model/backtest.parquet.partial", ".contact.csv.partial"):
        assert rule_of(tmp_path / name, tmp_path) == "delete"
