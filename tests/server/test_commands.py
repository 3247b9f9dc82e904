"""Whole commands over a server, also after one that was killed, do what they do without it."""

import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pandas as pd
import psutil
import pytest

from sparkify import transform
from sparkify.simulator import simulate
from sparkify.stages import RETENTION
from tests.server.serving import BIN, Server, java_of, serving, wait_for
from tests.sparkify.tables import TABLES, fingerprint

# Enough of them leave to learn from; of their songs one in so many is kept, for few lines.
USERS, SONGS = 140, 6
OF_USERS = ("fct_sessions", "fct_user_days", "dim_users", "fct_user_snapshots", "fct_user_features")
SCORES = "sparkify_ml.churn_scores"
LIMIT_S = 1200
# Of a client whose server is gone: it tries again for some seconds.
GOODBYE_S = 30
pytestmark = pytest.mark.slow
GONE = "the Spark server has ended or is out of reach"


@pytest.fixture(scope="module")
def events(spark, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("simulated") / "log"
    simulate(spark, users=USERS, seed=7, out=out)
    for file in out.glob("events/*/*.json"):
        lines = file.read_text().splitlines(keepends=True)
        songs = [line for line in lines if '"NextSong"' in line]
        file.write_text("".join(sorted({*lines} - {*songs} | {*songs[::SONGS]})))
    return out / "events"


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("home")


def begin(server: Server, *arguments: str | Path) -> subprocess.Popen:
    """A command of the server's own user, begun."""
    return subprocess.Popen(
        [BIN / "sparkify", "--target", "thrift", *arguments],
        cwd=server.home,
        env=server.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen) -> str:
    said, warned = process.communicate(timeout=LIMIT_S)
    assert (process.returncode, warned) == (0, ""), said
    return said


def assert_told(process: subprocess.Popen) -> None:
    """A client whose server has just ended ends too, and says so in one line."""
    said, warned = process.communicate(timeout=GOODBYE_S)
    assert process.returncode == 3, warned
    (line,) = warned.splitlines()
    assert GONE in line and "Traceback" not in said + line


@pytest.fixture(scope="module")
def killed(events, home) -> Iterator[subprocess.Popen]:
    """A client whose server was killed in the middle of a build."""
    with serving(home) as server:
        client = begin(server, "build", "--events", events)
        rows = home / "warehouse" / "sparkify.db" / "base_sparkify__rows"
        wait_for(lambda: rows.exists() or client.poll() is not None, LIMIT_S)
        (java,) = java_of(psutil.Process(server.process.pid))
        java.kill()
        yield client


def test_a_build_whose_server_is_killed_ends_in_a_line(killed):
    assert_told(killed)


@pytest.fixture(scope="module")
def server(killed, home) -> Iterator[Server]:
    """Another one, in the home of the one that was killed."""
    with serving(home) as server:
        yield server


def ask(server: Server, question: str) -> pd.DataFrame:
    """What a reader is told."""
    with closing(server.connect(server.token("reader"))) as reader:
        return pd.read_sql(question, reader)


def test_a_run_after_that_makes_the_tables_of_a_build_that_nothing_interrupted(
    spark, settings, events, home, server
):
    said = finish(begin(server, "run", "--events", events))
    assert "Done in" in said and "Left out" not in said, said
    assert (home / "report" / "Sparkify.html").exists()
    transform.register_events(settings, str(events))
    transform.run_dbt(settings, "run", "--exclude", RETENTION)
    for name in TABLES:
        found = spark.read.format("delta").load(f"{home}/warehouse/sparkify.db/{name}")
        expected = spark.table(f"sparkify.{name}")
        # It names the version of files in a certain folder.
        assert fingerprint(found.drop("input_version")) == fingerprint(
            expected.drop("input_version")
        ), name


def test_score_appends_a_score_of_every_user(server):
    scores = f"select scored_at, count(*) as n from {SCORES} group by 1 order by 1"
    before = ask(server, scores)
    finish(begin(server, "score"))
    after = ask(server, scores)
    assert after[:-1].equals(before)
    users = ask(server, "select count(*) as n from sparkify.fct_user_features")
    assert after["n"].iloc[-1] == users["n"].item() > 0


def test_maintain_leaves_the_same_rows_in_fewer_files(server):
    scores = f"select * from {SCORES} order by user_id, scored_at"
    before, files = ask(server, scores), ask(server, f"describe detail {SCORES}")["numFiles"]
    finish(begin(server, "maintain"))
    assert ask(server, scores).equals(before)
    assert ask(server, f"describe detail {SCORES}")["numFiles"].item() < files.item()
    history = ask(server, f"describe history {SCORES}")
    assert {"OPTIMIZE", "VACUUM START"} <= {*history["operation"]}


def test_erase_takes_a_user_out_of_every_table_and_nobody_else(server):
    user = ask(server, "select min(user_id) as id from sparkify.fct_user_features")["id"].item()
    counts = " union all ".join(
        f"select '{name}' as name, count_if(user_id = '{user}') as theirs, "
        f"count_if(user_id != '{user}') as others from {name}"
        for name in (*(f"sparkify.{mart}" for mart in OF_USERS), SCORES)
    )
    before = ask(server, counts).set_index("name").sort_index()
    finish(begin(server, "erase", "--user", user, "--yes"))
    after = ask(server, counts).set_index("name").sort_index()
    assert (before["theirs"] > 0).all() and (after["theirs"] == 0).all()
    assert after["others"].equals(before["others"])


def test_training_whose_serve_command_is_killed_ends_in_a_line(server):
    client = begin(server, "train")
    # After that models learn.
    assert any("Checking the expectations" in line for line in client.stdout)
    server.process.kill()
    assert_told(client)
