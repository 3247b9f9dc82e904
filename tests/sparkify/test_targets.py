"""The same project on three engines gives the same numbers."""

import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pandas as pd
import pytest
from pyhive import hive

from sparkify.simulator import simulate

BIN = Path(sys.executable).parent
PROJECT = Path(__file__).parents[2]
TABLES = {
    "fct_user_days": [
        "user_id",
        "activity_date",
        "event_count",
        "cast(listening_s as double) as listening_s",
    ],
    "fct_user_snapshots": ["*"],
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
def local(spark, build, events) -> dict[str, pd.DataFrame]:
    build(events, "--exclude", "path:models/marts/retention")
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
    subprocess.run(
        [BIN / "sparkify", "build", "--events", events], env=environment, check=True, timeout=300
    )
    for table, expected in local.items():
        files = tmp_path / "parquet" / "warehouse" / "sparkify.db" / table
        spark.read.parquet(str(files)).createOrReplaceTempView("found")
        assert_same(spark.sql(query(table, "found")).toPandas(), expected)
    shown = asked(query("fct_user_features"), "json", environment)
    expected = local["fct_user_features"]
    assert shown == expected.to_json(orient="records", lines=True, date_format="iso")


@pytest.fixture
def server(tmp_path):
    """`sparkify serve` on free ports: its Thrift port and its environment."""
    with socket.socket() as one, socket.socket() as two:
        one.bind(("127.0.0.1", 0))
        two.bind(("127.0.0.1", 0))
        thrift, connect = one.getsockname()[1], two.getsockname()[1]
    environment = os.environ | {
        "SPARKIFY_HOME": str(tmp_path),
        "DBT_TARGET_PATH": str(tmp_path / "dbt"),
        "SPARKIFY_THRIFT_PORT": str(thrift),
        "SPARK_REMOTE": f"sc://127.0.0.1:{connect}",
    }
    process = subprocess.Popen(
        [BIN / "sparkify", "serve", "--thrift-port", str(thrift), "--connect-port", str(connect)],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert any("Ctrl-C" in line for line in process.stdout), "the server did not start"
        yield thrift, environment
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)


def test_dbt_over_thrift_builds_the_same_tables_and_connect_reads_them(local, events, server):
    port, environment = server
    for command in (
        ["run-operation", "register_events", "--args", json.dumps({"path": str(events)})],
        ["build", "--exclude-resource-type", "unit_test"],
    ):
        subprocess.run(
            [BIN / "dbt", *command, "--target", "thrift"],
            cwd=PROJECT,
            env=environment,
            check=True,
            timeout=400,
        )
    with closing(hive.connect("127.0.0.1", port)) as connection:
        for table, expected in local.items():
            found = pd.read_sql(query(table), connection)
            assert_same(found, expected)
    shown = asked("select count(*) as n from sparkify.dim_users", "csv", environment)
    assert int(shown.split()[1]) > 0
