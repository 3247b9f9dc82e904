"""One Spark driver for dbt over Thrift, analysts over JDBC and `ml` over Spark Connect."""

import os
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pyspark

from sparkify.engine import set_engine, size_of_tables
from sparkify.errors import SparkifyError, WrongUse
from sparkify.interrupt import SIGNALS, end_with_parent
from sparkify.remote import THRIFT_PORT, listens
from sparkify.session import check_machine, spark_settings
from sparkify.settings import Settings
from sparkify.terminal import line, stage

HOST = "127.0.0.1"


def serve(settings: Settings, *, thrift_port: int, connect_port: int) -> int:
    """Run the server in the foreground until it is interrupted; return its exit code.

    It ends with this process, on Linux even if that is killed.
    Both ports are bound to loopback: whoever reaches one may do all that this user may.

    Raises:
        WrongUse: a port is taken.
        SparkifyError: the server ends before it is ready.
    """
    local = replace(settings, target="local")
    local.export()
    check_machine(local)
    set_engine(size_of_tables(local))
    for port in (thrift_port, connect_port):
        if listens(HOST, port):
            raise WrongUse(
                f"port {port} is taken; choose another with --thrift-port/--connect-port"
            )
    log = settings.logs / "server.log"
    settings.logs.mkdir(parents=True, exist_ok=True)
    command = spark_submit(local, thrift_port=thrift_port, connect_port=connect_port)
    # A driver must not be told to be a client as well, nor to bind elsewhere: Hive would obey.
    environment = {
        name: value
        for name, value in os.environ.items()
        if name != "SPARK_REMOTE" and not name.startswith("HIVE_SERVER2_")
    }
    with log.open("ab") as output:
        server = subprocess.Popen(
            command,
            env=environment,
            stdout=output,
            stderr=output,
            start_new_session=True,
            preexec_fn=end_with_parent(),
        )
    try:
        with stage("Starting the server"):
            wait_until_ready(server, thrift_port, connect_port, log)
        port = "" if thrift_port == THRIFT_PORT else f"SPARKIFY_THRIFT_PORT={thrift_port} "
        for each in (
            f"  dbt      {port}dbt build --target thrift",
            f"  JDBC     jdbc:hive2://{HOST}:{thrift_port}/{settings.schema}",
            f"  Connect  SPARK_REMOTE=sc://{HOST}:{connect_port} sparkify train",
            f"  log      {log}",
            "Ctrl-C ends it.",
        ):
            line(each, wrap=False)
        # Here a signal is not a failure: it is how a server ends.
        ended_by = []
        for number in SIGNALS:
            signal.signal(number, lambda number, _: ended_by.append(number) or server.terminate())
        code = server.wait()
        return 0 if signal.SIGINT in ended_by else code
    finally:
        server.terminate()
        server.wait()


def spark_submit(settings: Settings, *, thrift_port: int, connect_port: int) -> list[str]:
    """The command that starts the Thrift server with the Connect plugin in the same JVM."""
    conf = spark_settings(settings) | {
        "spark.plugins": "org.apache.spark.sql.connect.SparkConnectPlugin",
        "spark.connect.grpc.binding.address": HOST,
        "spark.connect.grpc.binding.port": str(connect_port),
        "spark.hadoop.hive.server2.thrift.bind.host": HOST,
        "spark.hadoop.hive.server2.thrift.port": str(thrift_port),
        "spark.sql.catalogImplementation": "hive",
    }
    return [
        str(Path(pyspark.__file__).parent / "bin" / "spark-submit"),
        *("--class", "org.apache.spark.sql.hive.thriftserver.HiveThriftServer2"),
        *(part for name, value in conf.items() for part in ("--conf", f"{name}={value}")),
        "spark-internal",
    ]


def wait_until_ready(
    server: subprocess.Popen, thrift_port: int, connect_port: int, log: Path
) -> None:
    """Return once both ports answer."""
    limit_s = float(os.environ.get("SPARKIFY_SERVER_START_S", "180"))
    deadline = time.monotonic() + limit_s
    while not (listens(HOST, thrift_port) and listens(HOST, connect_port)):
        if time.monotonic() > deadline:
            raise SparkifyError(f"the server did not answer within {limit_s:.0f} s; see {log}")
        with suppress(subprocess.TimeoutExpired):
            server.wait(timeout=0.5)
            raise SparkifyError(f"the server ended at once; the reason is at the end of {log}")
