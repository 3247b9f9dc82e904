"""A standalone cluster of this machine, behind a secret, makes the tables of one process."""

import os
import secrets
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import psutil
import pyspark
import pytest

from sparkify import transform
from sparkify.remote import listens
from sparkify.simulator import simulate
from tests.server.serving import BIN, free_ports, running_under, wait_for
from tests.sparkify.tables import fingerprint

CLASS = str(Path(pyspark.__file__).parent / "bin" / "spark-class")
MARTS = ("fct_sessions", "fct_user_days", "dim_users", "fct_user_snapshots", "fct_user_features")
pytestmark = pytest.mark.slow
LIMIT_S = 400
SELECTION = ("--exclude", "path:models/marts/retention")
# In one process, for the executors of each would start anew.
COMMANDS = f"""
import sys
from sparkify import transform
from sparkify.cli import cli
from sparkify.session import open_session
from sparkify.settings import Settings
settings = Settings.from_environment()
open_session(settings)
transform.register_events(settings, sys.argv[1])
transform.run_dbt(settings, "run", *{SELECTION!r})
for words in (["train", "--models", "logistic_regression", "--origins", "1"], ["score"]):
    cli(words, standalone_mode=False)
"""


@pytest.fixture(scope="module")
def events(spark, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("simulated") / "log"
    simulate(spark, users=120, seed=11, out=out)
    return out / "events"


@contextmanager
def running(*command: str, **environment: str) -> Iterator[psutil.Popen]:
    """A process that is ended, with all that it started."""
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = psutil.Popen(command, env=os.environ | environment, **quiet)
    try:
        yield process
    finally:
        end(process)


def end(process: psutil.Popen) -> None:
    with suppress(psutil.NoSuchProcess):
        for each in (*process.children(recursive=True), process):
            with suppress(psutil.NoSuchProcess):
                each.send_signal(signal.SIGKILL)
        process.wait(LIMIT_S)


def has_executor(worker: psutil.Popen) -> bool:
    return any(
        "CoarseGrainedExecutorBackend" in " ".join(words)
        for words in running_under(worker).values()
    )


@pytest.fixture
def cluster(tmp_path):
    """The address of a master, two workers of one core each, and what all have to be told."""
    (port,) = free_ports(1)
    told = {"SPARK_CONF_DIR": str(tmp_path)}
    (tmp_path / "spark-defaults.conf").write_text(
        f"spark.authenticate true\nspark.authenticate.secret {secrets.token_urlsafe()}\n"
    )
    address = f"spark://127.0.0.1:{port}"
    with ExitStack() as stack:
        package = "org.apache.spark.deploy"
        place = ("--host", "127.0.0.1", "--webui-port", "0")
        master = (CLASS, f"{package}.master.Master", *place, "--port", str(port))
        stack.enter_context(running(*master, **told))
        wait_for(lambda: listens("127.0.0.1", port), LIMIT_S)
        workers = [
            stack.enter_context(
                running(
                    *(CLASS, f"{package}.worker.Worker", *place, "--cores", "1", "--memory", "2g"),
                    *("--work-dir", str(tmp_path / name), address),
                    **told,
                )
            )
            for name in ("one", "two")
        ]
        yield address, workers, told


def test_a_cluster_that_loses_a_worker_makes_the_same_tables_and_learns(
    spark, settings, events, cluster, tmp_path
):
    address, workers, told = cluster
    home = tmp_path / "home"
    environment = os.environ | told | {"SPARKIFY_HOME": str(home), "SPARK_MASTER": address}
    environment["DBT_TARGET_PATH"] = str(home / "dbt")
    running = subprocess.Popen(
        [BIN / "python", "-c", COMMANDS, events],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    wait_for(lambda: all(has_executor(worker) for worker in workers), LIMIT_S)
    rows = home / "warehouse" / "sparkify.db" / "base_sparkify__rows"
    wait_for(lambda: rows.exists() or running.poll() is not None, LIMIT_S)
    end(workers[0])
    said, _ = running.communicate(timeout=800)
    assert running.returncode == 0, said

    transform.register_events(settings, str(events))
    transform.run_dbt(settings, "run", *SELECTION)
    for table in MARTS:
        found = spark.read.format("delta").load(f"{home}/warehouse/sparkify.db/{table}")
        expected = spark.table(f"sparkify.{table}")
        # It names the version of files in a certain folder.
        assert fingerprint(found.drop("input_version")) == fingerprint(
            expected.drop("input_version")
        ), table
    scores = spark.read.format("delta").load(f"{home}/warehouse/sparkify_ml.db/churn_scores")
    assert scores.count() == spark.table("sparkify.fct_user_features").count()
