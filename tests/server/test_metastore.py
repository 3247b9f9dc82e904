"""Several drivers share a metastore in PostgreSQL."""

import json
import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from sparkify.delta import POSTGRESQL
from sparkify.errors import BadInput
from sparkify.metastore import create_tables
from sparkify.remote import THRIFT_TOKEN
from sparkify.session import java
from sparkify.settings import PROJECT, Settings
from sparkify.transform import EVENTS, described
from tests.server.postgres import PASSWORD, USER, Postgres, postgres
from tests.server.serving import BIN, jars_with, running_under, serving, wait_for
from tests.sparkify.tables import fingerprint

LIMIT_S = 400
# Of the simulated log.
DAYS = 4
MARTS = ("fct_sessions", "fct_user_days", "dim_users")
SELECTED = ("--select", *(f"+{table}" for table in MARTS))
LOCK = 'select count(*) from "TBLS" where "TBL_NAME" = \'run_of_all\''


@pytest.fixture(scope="module")
def database() -> Iterator[Postgres]:
    with postgres() as server:
        for name in (USER, "stranger"):
            server.run(f"create role {name} login password '{PASSWORD}'")
        server.run(f"create database metastore owner {USER}")
        yield server


@pytest.fixture(scope="module")
def jars(settings, tmp_path_factory) -> Path:
    """Those of Delta Lake, and the driver."""
    return jars_with(POSTGRESQL, settings, tmp_path_factory.mktemp("with-driver"))


@pytest.fixture
def environment(database, jars, tmp_path) -> dict[str, str]:
    """That of drivers with the shared metastore, in a home of their own."""
    return {
        "SPARKIFY_HOME": str(tmp_path / "home"),
        "SPARKIFY_JARS": str(jars),
        "SPARKIFY_METASTORE_URL": database.url("metastore"),
        "SPARKIFY_METASTORE_USER": USER,
        "SPARKIFY_METASTORE_PASSWORD": PASSWORD,
        "DBT_TARGET_PATH": str(tmp_path / "home" / "dbt"),
        "DBT_LOG_PATH": str(tmp_path / "home" / "logs"),
    }


def begin(environment: dict[str, str], *command: str, **others: str) -> subprocess.Popen:
    """A command of this environment, begun."""
    return subprocess.Popen(
        [BIN / command[0], *command[1:]],
        cwd=PROJECT,
        env=os.environ | environment | others,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(process: subprocess.Popen, code: int = 0) -> str:
    said, _ = process.communicate(timeout=LIMIT_S)
    assert process.returncode == code, said
    return said


def run(environment: dict[str, str], events: Path, *target: str) -> subprocess.Popen:
    """dbt, as anybody may call it, on such a log, begun."""
    settings = Settings(home=Path(environment["SPARKIFY_HOME"]), jars=Path(), target="local")
    place = {EVENTS: json.dumps(described(settings, str(events)))}
    return begin(environment | place, "dbt", "--no-use-colors", "run", *SELECTED, *target)


def kill(process: subprocess.Popen) -> None:
    """End a process and all that it has started."""
    for each in (*psutil.Process(process.pid).children(recursive=True), process):
        each.kill()
    process.wait()


def test_what_cannot_be_used_is_told_in_one_line(database, environment, tmp_path, monkeypatch):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    database.run("create database bare")
    settings = Settings.from_environment(target="local")
    with socket.create_server(("127.0.0.1", 0)) as silent, java(settings) as jvm:
        port = silent.getsockname()[1]
        nobody_there = "jdbc:postgresql://127.0.0.1:1/metastore"
        for name, value, told in (
            ("PASSWORD", "wrong", "does not take this user and password"),
            ("USER", "unknown", "does not take this user and password"),
            ("URL", database.url("missing"), "no such database"),
            ("URL", nobody_there, "does not answer"),
            ("URL", f"jdbc:postgresql://127.0.0.1:{port}/metastore", "does not answer"),
            ("URL", database.url("bare"), "may not create tables"),
        ):
            with monkeypatch.context() as changed:
                changed.setenv(f"SPARKIFY_METASTORE_{name}", value)
                with pytest.raises(BadInput, match=told) as refused:
                    create_tables(jvm, settings)
                assert USER not in str(refused.value)
                assert PASSWORD not in str(refused.value)
                assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("code", "changed", "told"),
    [
        (2, {"URL": "jdbc:postgresql://h/d?user=me&password=geheim"}, "holds a user or a password"),
        (2, {"URL": "jdbc:postgresql://me:geheim@h/d"}, "holds a user or a password"),
        (2, {"URL": "jdbc:mysql://h/geheim"}, "jdbc:postgresql://host:5432/metastore"),
        (3, {"PASSWORD": ""}, "set both"),
        (3, {"URL": "jdbc:postgresql://127.0.0.1:1/d"}, "does not answer"),
    ],
)
def test_a_command_ends_with_a_line_and_a_code(environment, code, changed, told):
    changed = {f"SPARKIFY_METASTORE_{name}": value for name, value in changed.items()}
    said = finish(begin(environment, "sparkify", "sql", "select 1", **changed), code)
    (line,) = said.splitlines()
    assert told in line
    assert "geheim" not in line


def test_without_the_driver_set_up_is_named(environment, settings):
    asked = begin(environment, "sparkify", "sql", "select 1", SPARKIFY_JARS=str(settings.jars))
    assert "`sparkify setup`" in finish(asked, 3)


@pytest.mark.slow
def test_drivers_share_tables_which_are_those_of_one_process(
    spark, build, database, environment, simulated_days, tmp_path, monkeypatch
):
    home, events, part = (tmp_path / name for name in ("home", "log", "part"))
    for folder, days in ((events, DAYS), (part, DAYS - 2)):
        folder.mkdir()
        for day in sorted(simulated_days)[:days]:
            (folder / f"{day}.json").write_text("\n".join(simulated_days[day]) + "\n")

    # Two make its tables at the same time: one does, and the other finds them.
    said = [finish(each) for each in [begin(environment, "sparkify", "setup") for _ in "12"]]
    assert sorted("are made" in each for each in said) == [False, True], said
    assert database.run('select "SCHEMA_VERSION" from "VERSION"', "metastore") == "2.3.0"

    with monkeypatch.context() as server_has:
        for name, value in environment.items():
            server_has.setenv(name, value)
        with serving(home) as server:
            client = server.environment | {THRIFT_TOKEN: server.token("writer")}
            finish(run(client, part, "--target", "thrift"))
            # A session of another process is another driver: while it builds, the server does not.
            local = run(environment, events, "--target", "local")
            wait_for(lambda: database.run(LOCK, "metastore") == "1", LIMIT_S)
            command_lines = str([*running_under(psutil.Process()).values()])
            assert "javax.jdo.option.ConnectionPassword" in command_lines
            assert PASSWORD not in command_lines
            assert USER not in command_lines
            words = " ".join(finish(run(client, events, "--target", "thrift"), 2).split())
            assert "another run is under way on this server or metastore" in words
            assert "dbt run-operation end_run --target thrift" in words
            kill(local)
            finish(begin(client, "dbt", "run-operation", "end_run", "--target", "thrift"))
            assert database.run(LOCK, "metastore") == "0"
            finish(run(environment, events, "--target", "local"))
            # The server sees what another driver has written, and where the log lies now.
            asked = "select count(*) as n from sparkify_raw.lines"
            show = ("sparkify", "--target", "thrift", "sql", asked, "--format", "csv")
            lines = sum(len(file.read_bytes().splitlines()) for file in events.rglob("*.json"))
            assert finish(begin(client, *show)).split() == ["n", str(lines)]
    build(events, *SELECTED)
    for table in MARTS:
        found = spark.read.format("delta").load(f"{home}/warehouse/sparkify.db/{table}")
        expected = spark.table(f"sparkify.{table}")
        # It names the version of files in a certain folder.
        assert fingerprint(found.drop("input_version")) == fingerprint(
            expected.drop("input_version")
        ), table
    (user,) = spark.sql("select min(user_id) from sparkify.dim_users").first()
    assert "are freed" in finish(begin(environment, "sparkify", "maintain"))
    finish(begin(environment, "sparkify", "erase", "--user", user, "--yes"))
    for table in MARTS:
        left = spark.read.format("delta").load(f"{home}/warehouse/sparkify.db/{table}")
        rest = spark.table(f"sparkify.{table}").where(f"user_id != '{user}'")
        assert sorted(left.select("user_id").collect()) == sorted(rest.select("user_id").collect())
    for file in home.rglob("*"):
        assert not file.is_file() or PASSWORD.encode() not in file.read_bytes(), file

    other = begin(environment, "sparkify", "tables", SPARKIFY_HOME=str(tmp_path / "other"))
    words = finish(other, 3)
    assert str(home / "warehouse") in words
    assert "the same SPARKIFY_HOME" in words
