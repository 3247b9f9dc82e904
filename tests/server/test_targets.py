"""The same project on three engines gives the same numbers."""

import json
import os
import shutil
import subprocess
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

import pandas as pd
import pytest

from sparkify import transform
from sparkify.remote import THRIFT_TOKEN
from sparkify.simulator import simulate
from sparkify.stages import RETENTION
from tests.server.serving import BIN, serving, wait_for
from tests.sparkify.tables import TABLES as BUILT
from tests.sparkify.tables import fingerprint
from tests.sparkify.walking import SELECTION, Walk

PROJECT = Path(__file__).parents[2]
# In which files come back and come twice, and vars, models and macros change.
SEQUENCES = range(5, 10)
TABLES = {
    "fct_user_days": [
        "user_id",
        "activity_date",
        "event_count",
        "cast(listening_s as double) as listening_s",
    ],
    # The version is that of files in a certain folder, written at a certain time.
    "fct_user_snapshots": ["* except (input_version)"],
    "fct_user_features": ["*"],
}


def query(table: str, source: str = "") -> str:
    columns = ", ".join(TABLES[table])
    return f"select {columns} from {source or f'sparkify.{table}'} order by user_id, 2"


@pytest.fixture(scope="module")
def events(spark, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("simulated") / "log"
    simulate(spark, users=30, seed=7, out=out)
    return out / "events"


@pytest.fixture(scope="module")
def local(spark, settings, events) -> dict[str, pd.DataFrame]:
    transform.register_events(settings, str(events))
    transform.run_dbt(settings, "run", "--exclude", RETENTION)
    return {table: spark.sql(query(table)).toPandas() for table in TABLES}


def assert_same(found: pd.DataFrame, expected: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(
        found.astype(str).set_axis(expected.columns, axis=1), expected.astype(str)
    )


def asked(question: str, style: str, environment: dict[str, str]) -> str:
    """What `sparkify sql` prints."""
    command = [BIN / "sparkify", "sql", question, "--format", style]
    return subprocess.run(
        command, env=environment, check=True, capture_output=True, text=True, timeout=120
    ).stdout


def test_parquet_without_any_jar_builds_the_same_tables(spark, local, events, tmp_path):
    environment = os.environ | {
        "SPARKIFY_HOME": str(tmp_path),
        "DBT_TARGET_PATH": str(tmp_path / "dbt"),
        "SPARKIFY_TARGET": "parquet",
        "SPARKIFY_JARS": str(tmp_path / "no-jars"),
    }
    # As a killed run leaves them: files, and no table.
    for name in ("dim_users", "dim_users__erasing"):
        left = tmp_path / "parquet" / "warehouse" / "sparkify.db" / name
        left.mkdir(parents=True)
        (left / "part-0.parquet").write_text("half")
    subprocess.run(
        [BIN / "sparkify", "build", "--events", events], env=environment, check=True, timeout=300
    )
    assert not left.exists()
    for table, expected in local.items():
        files = tmp_path / "parquet" / "warehouse" / "sparkify.db" / table
        spark.read.parquet(str(files)).createOrReplaceTempView("found")
        assert_same(spark.sql(query(table, "found")).toPandas(), expected)
    shown = asked(query("fct_user_features"), "json", environment)
    found = pd.DataFrame(map(json.loads, shown.splitlines()))
    expected = local["fct_user_features"].astype({"as_of_date": str})
    pd.testing.assert_frame_equal(found, expected, check_dtype=False)


@pytest.fixture
def server(tmp_path):
    with serving(tmp_path) as server:
        server.environment[THRIFT_TOKEN] = server.token("writer")
        yield server


def dbt(environment: dict[str, str], *arguments: str, **options) -> subprocess.Popen:
    """dbt against the server, begun."""
    command = [BIN / "dbt", "--no-use-colors", *arguments, "--target", "thrift"]
    return subprocess.Popen(
        command, cwd=PROJECT, env=environment, stdout=subprocess.PIPE, text=True, **options
    )


def runs_under_way(connection) -> list[tuple]:
    cursor = connection.cursor()
    cursor.execute("show views in sparkify_raw like 'run_of_*'")
    return cursor.fetchall()


def finish(process: subprocess.Popen) -> str:
    said, _ = process.communicate(timeout=400)
    assert process.returncode == 0, said
    return said


class RemoteWalk(Walk):
    """One of which every run is of a server."""

    environment: dict[str, str]

    def run(self, *arguments: str) -> str:
        changed = ("--vars", json.dumps(self.changed))
        finish(dbt(self.environment, "run", *arguments, *changed))
        return f"run {' '.join(arguments)}"


@pytest.mark.slow
def test_any_sequence_over_thrift_leaves_what_a_local_full_refresh_leaves(
    spark, settings, simulated_days, server, tmp_path, monkeypatch
):
    (tmp_path / "walk").mkdir()
    walk = RemoteWalk(settings, tmp_path / "walk", simulated_days)
    walk.environment = server.environment | {"DBT_PROJECT_DIR": str(walk.project)}
    register = json.dumps({"path": str(walk.folder)})
    finish(dbt(walk.environment, "run-operation", "register_events", "--args", register))
    walk.run(*SELECTION)
    happened = []
    for number in SEQUENCES:
        happened += walk.sequence(number)
        walk.run(*SELECTION)
    kinds = ("doubled", "restored", "touched", "vars", "edited")
    assert all(any(each.startswith(kind) for each in happened) for kind in kinds), happened
    warehouse = server.home / "warehouse" / "sparkify.db"
    found = {
        table: fingerprint(spark.read.format("delta").load(str(warehouse / table)))
        for table in BUILT
    }
    monkeypatch.setenv("DBT_PROJECT_DIR", str(walk.project))
    transform.register_events(settings, str(walk.folder))
    here = replace(settings, overrides=walk.changed)
    transform.run_dbt(here, "run", *SELECTION, "--full-refresh")
    assert found == {table: fingerprint(spark.table(f"sparkify.{table}")) for table in BUILT}, (
        happened
    )


def test_a_log_that_grows_over_thrift_leads_to_the_same_tables(local, events, server, tmp_path):
    environment = server.environment
    folder = tmp_path / "growing"
    days = sorted(path.parent.name for path in events.glob("date=*/*.json"))
    gone, grown = days[5], days[-3]
    copied = shutil.copytree(
        events, folder, ignore=lambda _, names: [n for n in names if n > grown and n in days]
    )
    for file in (copied / grown).glob("*.json"):
        lines = file.read_text().splitlines(keepends=True)
        file.write_text("".join(lines[: len(lines) // 2]))
    shutil.copytree(copied / gone, copied / "too much", dirs_exist_ok=True)
    stray = next((copied / "too much").glob("*.json"))
    stray.write_text(stray.read_text().replace('"NextSong"', '"Settings"'))
    register = json.dumps({"path": str(folder)})
    finish(dbt(environment, "run-operation", "register_events", "--args", register))
    finish(dbt(environment, "run", "--exclude", RETENTION))
    # Half a day more, days that are new, and files that are gone.
    shutil.rmtree(copied / "too much")
    for day in days:
        if day >= grown:
            shutil.rmtree(copied / day, ignore_errors=True)
            shutil.copytree(events / day, copied / day)
    left_out = ("--exclude-resource-type", "unit_test", "--exclude", RETENTION)
    # Two at the same time: the second one is told that there is another.
    one = dbt(environment, "build", *left_out)
    with closing(server.connect(server.token("writer"))) as connection:
        wait_for(partial(runs_under_way, connection), limit_s=120)
    other = dbt(environment, "build", *left_out)
    said = [process.communicate(timeout=400)[0] for process in (one, other)]
    codes = [one.returncode, other.returncode]
    assert codes[0] == 0 != codes[1], said
    for code, words in zip(codes, said, strict=True):
        assert code == 0 or "another run is under way on this server" in words, words
    with closing(server.connect(server.token("reader"))) as connection:
        for table, expected in local.items():
            found = pd.read_sql(query(table), connection)
            assert_same(found, expected)
        assert runs_under_way(connection) == []
    shown = asked("select count(*) as n from sparkify.dim_users", "csv", environment)
    assert int(shown.split()[1]) > 0
    # Where sessions do not keep UTC nothing is built.
    profile = (PROJECT / "profiles" / "profiles.yml").read_text()
    assert profile.count("set:spark.sql.session.timeZone: UTC") == 1
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "profiles.yml").write_text(
        profile.replace("session.timeZone: UTC", "session.timeZone: Asia/Tokyo")
    )
    refused = dbt(environment | {"DBT_PROFILES_DIR": str(tmp_path / "profiles")}, "run")
    assert "are in Asia/Tokyo" in refused.communicate(timeout=400)[0]
    assert refused.returncode != 0
