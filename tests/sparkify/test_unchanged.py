"""A build has nothing to do only where nothing changed that it is made from, or left."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from sparkify import unchanged
from sparkify.cli import cli
from sparkify.commands import build
from sparkify.commands.sql import run_query
from sparkify.settings import Settings

DATA = {
    "files": 1,
    "lines": 3,
    "rows_read": 3,
    "events": 2,
    "first_date": "2018-10-01",
    "last_date": "2018-10-02",
    "duplicates": 0,
    "rejected": {"anonymous": 1},
    "rows_of_other_users": 0,
    "user_share": 1.0,
    "set_to_null": [],
    "users": 1,
    "churned_users": 0,
    "dbt_tests_passed": 34,
    "expectations_passed": 76,
}


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    """A home as a build leaves it, with one table, and the events it was made from."""
    names = ("SPARK_REMOTE", "DBT_PROJECT_DIR", "DBT_PROFILES_DIR", "SPARKIFY_TARGET")
    for name in (*names, "SPARKIFY_METASTORE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SPARKIFY_HOME", str(tmp_path / "home"))
    log = tmp_path / "home" / "warehouse" / "sparkify.db" / "dim_users" / "_delta_log"
    log.mkdir(parents=True)
    (log / "00000000000000000000.json").write_text("{}")
    (tmp_path / "home" / "metastore").mkdir()
    (tmp_path / "home" / "metastore" / "service.properties").write_text("#Sat Nov 28 21:10:36 UTC")
    forms = tmp_path / "home" / "warehouse" / "sparkify_raw.db" / "file_forms"
    forms.mkdir(parents=True)
    (forms / "part-0.parquet").write_text("whole")
    (tmp_path / "home" / "dbt").mkdir()
    (tmp_path / "home" / "dbt" / "run_results.json").write_text('{"invocation_id": "1"}')
    (tmp_path / "events").mkdir()
    (tmp_path / "events" / "a.json").write_text("{}\n{}\n{}\n")
    return tmp_path / "home"


def built(home: Path, **changes: object) -> dict | None:
    """What is recalled of the last build."""
    settings = replace(Settings.from_environment(), **changes)
    return unchanged.recall(settings, unchanged.inputs_of(settings, events_of(home)))


def events_of(home: Path) -> str:
    return str(home.parent / "events")


@pytest.fixture
def remembered(home) -> Path:
    settings = Settings.from_environment()
    inputs = unchanged.inputs_of(settings, events_of(home))
    unchanged.remember(settings, inputs, {"data": DATA})
    assert built(home)["summary"] == {"data": DATA}
    return home


CHANGES = {
    "an event file grew": lambda home: (home.parent / "events/a.json").write_text("{}\n" * 4),
    "a file of the same size was written": lambda home: os.utime(home.parent / "events/a.json"),
    "a file came": lambda home: (home.parent / "events" / "b.json").write_text("{}"),
    "a file was renamed": lambda home: (home.parent / "events/a.json").rename(
        home.parent / "events" / "c.json"
    ),
    "a table was written to": lambda home: (
        home / "warehouse/sparkify.db/dim_users/_delta_log/00000000000000000001.json"
    ).write_text("{}"),
    "scores were written": lambda home: (
        (home / "warehouse/sparkify_ml.db/churn_scores/_delta_log").mkdir(parents=True),
        (home / "warehouse/sparkify_ml.db/churn_scores/_delta_log/0.json").write_text("{}"),
    ),
    "a table was dropped": lambda home: (home / "warehouse/sparkify.db/dim_users").rename(
        home / "elsewhere"
    ),
    "a table has nothing but its folder": lambda home: (
        home / "warehouse/sparkify.db/dim_users/_delta_log/00000000000000000000.json"
    ).unlink(),
    "the catalogue is gone": lambda home: shutil.rmtree(home / "metastore"),
    "the catalogue is a new one": lambda home: (home / "metastore/service.properties").write_text(
        "#Sat Nov 28 21:11:36 UTC"
    ),
    "other events were registered": lambda home: (
        home / "warehouse/sparkify_raw.db/file_forms/part-0.parquet"
    ).rename(home / "warehouse/sparkify_raw.db/file_forms/part-1.parquet"),
    "dbt ran by itself": lambda home: (home / "dbt/run_results.json").write_text("{}"),
    "the record is cut off": lambda home: (home / "built-sparkify.json").write_text('{"at"'),
    "a build began and did not pass": lambda home: unchanged.forget(Settings.from_environment()),
}


def test_what_was_given_counts_for_a_later_run_looks_there(remembered):
    """The one file of a folder, after the folder: a bare `dbt run` would go on with the folder."""
    settings = Settings.from_environment()
    inputs = unchanged.inputs_of(settings, events_of(remembered) + "/a.json")
    assert unchanged.recall(settings, inputs) is None


@pytest.mark.parametrize("change", CHANGES)
def test_whatever_changed_there_is_something_to_build(remembered, change):
    CHANGES[change](remembered)
    assert built(remembered) is None


@pytest.mark.parametrize(
    "others",
    [
        {"overrides": {"horizon_days": 7}},
        {"schema": "other"},
        {"target": "parquet"},
        {"target": "thrift"},
    ],
)
def test_other_vars_schemas_and_targets_are_other_builds(remembered, others):
    assert built(remembered, **others) is None


def test_an_edited_model_is_another_build(remembered, tmp_path, monkeypatch):
    code = [*unchanged.code_files()]
    names = {file.name for file in code}
    assert {"dbt_project.yml", "profiles.yml", "fct_user_days.sql", "user_features.sql"} <= names
    assert {"primary_key.sql", "suites.py", "_core.yml"} <= names
    edited = tmp_path / "edited.sql"
    edited.write_text("select 1")
    monkeypatch.setattr(unchanged, "code_files", lambda: iter([*code[1:], edited]))
    assert built(remembered) is None


def test_where_it_cannot_be_known_everything_is_looked_at(home, monkeypatch):
    settings = Settings.from_environment()
    assert unchanged.inputs_of(settings, "s3a://bucket/events") is None
    for name, value in {
        "DBT_PROJECT_DIR": str(home),
        "DBT_PROFILES_DIR": str(home),
        "SPARKIFY_METASTORE_URL": "jdbc:postgresql://host/metastore",
    }.items():
        assert unchanged.inputs_of(settings, events_of(home)) is not None
        with monkeypatch.context() as patch:
            patch.setenv(name, value)
            assert unchanged.inputs_of(settings, events_of(home)) is None


def test_a_build_without_anything_new_tells_of_the_last_one_and_starts_nothing(
    remembered, monkeypatch
):
    monkeypatch.setattr(build, "open_stage", lambda *_, **__: pytest.fail("Spark was started"))
    found = CliRunner().invoke(cli, ["build", "--events", events_of(remembered)])
    assert found.exit_code == 0, found.output
    assert "Nothing changed since 20" in found.output
    assert "3 lines in 1 file " in found.output and "34 dbt tests" in found.output
    told = CliRunner().invoke(cli, ["build", "--events", events_of(remembered), "--json"])
    assert told.output.startswith('{"data"') and '"unchanged_since": "20' in told.output
    with pytest.raises(pytest.fail.Exception, match="Spark was started"):
        build.build_command(Settings.from_environment(), events_of(remembered), full_refresh=True)


def test_who_writes_by_hand_may_have_changed_a_view(remembered, monkeypatch):
    monkeypatch.setattr("sparkify.commands.sql.open_session", lambda settings: None)
    with pytest.raises(AttributeError):
        run_query(Settings.from_environment(), "drop view v", style="table", write=True)
    assert built(remembered) is None
