"""Spark's own ports, which listen besides those that were asked for, and how it is set."""

import os
import socket
import struct
import subprocess
import sys
from dataclasses import replace

import pytest
import yaml
from dbt.config.renderer import ProfileRenderer
from dbt_common.context import set_invocation_context

from sparkify import session
from sparkify.commands.serve import has_secret
from sparkify.preload import beside
from sparkify.session import is_local, spark_settings
from sparkify.settings import PROJECT, Settings

# A process that holds a lock until its input ends.
HOLDING = """
import fcntl, sys
held = open(sys.argv[1], "r+b")
fcntl.lockf(held, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


def test_the_port_of_a_session_answers_nobody_without_its_secret(spark):
    port = int(spark.sparkContext.getConf().get("spark.driver.port"))
    # A request of Spark's protocol: its length, kind, id, and a body of a byte.
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        client.sendall(struct.pack(">qbqib", 22, 3, 1, 1, 0))
        assert b"SASL" in client.recv(4096)


@pytest.mark.parametrize(
    ("master", "expected"),
    [("local", True), ("local[*]", True), ("local[2,3]", True), ("spark://host:7077", False)],
)
def test_a_master_in_one_process_is_told_from_a_cluster(master, expected):
    assert is_local(master) == expected


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (None, False),
        ("# spark.authenticate true\n", False),
        ("spark.authenticate.secret true\n", False),
        ("spark.authenticate false\n", False),
        ("spark.app.name a\nspark.authenticate   true\nspark.authenticate.secret b\n", True),
        ("spark.authenticate=true", True),
    ],
)
def test_a_secret_of_a_cluster_is_found_where_spark_looks(monkeypatch, tmp_path, written, expected):
    monkeypatch.setenv("SPARK_CONF_DIR", str(tmp_path))
    if written is not None:
        (tmp_path / "spark-defaults.conf").write_text(written)
    assert has_secret() == expected


@pytest.mark.parametrize("target", ["local", "parquet", "thrift"])
def test_spark_is_set_as_dbt_would_set_it(monkeypatch, target):
    """Though the profile is rendered by Jinja alone."""
    monkeypatch.setenv("SPARKIFY_WAREHOUSE", ' /a b/"c ')
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://localhost:9000")
    set_invocation_context(os.environ)
    profiles = yaml.safe_load((PROJECT / "profiles" / "profiles.yml").read_text())
    rendered = ProfileRenderer({}).render_data(profiles["sparkify"]["outputs"][target])
    by_dbt = {name: str(value) for name, value in rendered["server_side_parameters"].items()}
    found = spark_settings(replace(Settings.from_environment(overrides={}), target=target))
    assert by_dbt.items() <= found.items() and len(by_dbt) > 5


def test_what_is_done_beside_a_block_is_over_at_its_end_and_may_fail():
    done = []

    def work():
        done.append(1)
        raise ValueError

    with beside(work):
        pass
    assert done == [1]


def test_a_metastore_is_in_use_only_while_somebody_holds_on_to_it(monkeypatch, tmp_path):
    lock = tmp_path / "dbex.lck"
    lock.touch()
    holder = subprocess.Popen([sys.executable, "-c", HOLDING, lock], stdin=-1, stdout=-1)
    holder.stdout.readline()
    with monkeypatch.context() as patched:
        patched.setattr(session, "LETTING_GO_S", 0)
        assert session.stays_locked(lock)
    # As the Java of a command that has just ended.
    monkeypatch.setattr(session.time, "sleep", lambda _: holder.communicate())
    assert not session.stays_locked(lock)
