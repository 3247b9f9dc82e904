"""One Spark driver for dbt over Thrift, analysts over JDBC and `ml` over Spark Connect."""

import os
import re
import secrets
import shlex
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pyspark

from sparkify.engine import set_engine, size_of_tables
from sparkify.errors import BadInput, WrongUse
from sparkify.gate import CLASS, READER, WRITER, compiled_gate, make_tokens
from sparkify.interrupt import end_with_parent, on_signals
from sparkify.remote import CONNECT_PORT, CONNECT_TOKEN, THRIFT_PORT, THRIFT_TOKEN, listens
from sparkify.session import (
    check_elsewhere,
    check_machine,
    is_local,
    java,
    open_session,
    size_of,
    spark_settings,
    why_not_started,
)
from sparkify.settings import DEFAULT_HOME, DEFAULT_SCHEMA, PROJECT, Settings
from sparkify.terminal import line, stage, warn

HOST = "127.0.0.1"
LOG_SETTINGS = PROJECT / "sparkify" / "java" / "log4j2.properties"


def serve(
    settings: Settings,
    *,
    thrift_port: int,
    connect_port: int,
    is_open: bool = False,
    allows_programs: bool = False,
) -> int:
    """Run the server in the foreground until it is interrupted; return its exit code.

    It ends with this process, on Linux even if that is killed. Both ports are bound to loopback,
    and ask for a token.

    is_open: they ask for none, so every user of this machine may do what this one may.
    allows_programs: SQL may run programs, see Gate.java.

    Raises:
        WrongUse: a port is taken.
        BadInput: the server takes too long, ends at once, or later and not because this process was
            told to.
    """
    local = replace(settings, target="local")
    local.export()
    # A driver must not be told to be a client as well.
    os.environ.pop("SPARK_REMOTE", None)
    check_machine(local)
    set_engine(size_of_tables(local))
    settings.logs.mkdir(parents=True, exist_ok=True)
    for port in (thrift_port, connect_port):
        if listens(HOST, port):
            raise WrongUse(
                f"port {port} is taken; choose another with --thrift-port/--connect-port"
            )
    if local.is_elsewhere:
        with stage("Looking at metastore and warehouse"), java(local) as jvm:
            check_elsewhere(jvm, local, spark_settings(local))
    log = settings.logs / "server.log"
    tokens = make_tokens(settings)
    command = spark_submit(local, log, thrift_port, connect_port, is_open=is_open)
    # Nor to bind elsewhere: Hive would obey. The key of user ids is a client's, for what the server
    # has, whoever reaches it can ask for.
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("HIVE_SERVER2_") and not name.endswith("SPARKIFY_USER_KEY")
    }
    environment["SPARKIFY_PROGRAMS"] = "1" if allows_programs else "0"
    # Last of the class path: an archive of classes fits only what begins as its own did.
    classes = str(compiled_gate(settings)), environment.get("SPARK_DIST_CLASSPATH")
    environment["SPARK_DIST_CLASSPATH"] = ":".join(filter(None, classes))
    environment.pop(CONNECT_TOKEN, None)
    if not is_open:
        # Not in the command line, which every user of the machine can read.
        environment["SPARKIFY_TOKENS"] = str(tokens)
        environment[CONNECT_TOKEN] = (tokens / WRITER).read_text()
    if not (is_local(spark_settings(local)["spark.master"]) or has_secret()):
        warn(
            "Spark's own ports ask for no secret, so whoever reaches them may do what you may: see "
            "docs/cluster.md, Spark's own ports"
        )
    said_before = size_of(log)
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
            wait_until_ready(server, thrift_port, connect_port, log, said_before)
        # Here a signal is not a failure: it is how a server ends.
        ended_by = []
        on_signals(lambda number, _: ended_by.append(number) or server.terminate())
        for each in how_to_reach(settings, thrift_port, connect_port, is_open=is_open):
            line(each, wrap=False)
        line(f"  log      {log}", wrap=False)
        line("Ctrl-C ends it.")
        code = server.wait()
        if not ended_by:
            raise BadInput(f"the server has ended, {how_ended(code)} (log: {log}); start it again")
        return 0 if signal.SIGINT in ended_by else code
    finally:
        server.terminate()
        server.wait()


def how_to_reach(
    settings: Settings, thrift_port: int, connect_port: int, *, is_open: bool
) -> list[str]:
    """A line for each kind of client.

    A command in it works as it is printed, in the folder of the project, its environment active.
    """
    same = "" if settings.home == DEFAULT_HOME else f"SPARKIFY_HOME={quoted(settings.home)} "
    if settings.schema != DEFAULT_SCHEMA:
        same += f"SPARKIFY_SCHEMA={settings.schema} "
    ports = "" if thrift_port == THRIFT_PORT else f"SPARKIFY_THRIFT_PORT={thrift_port} "
    remote = "" if connect_port == CONNECT_PORT else f"SPARK_REMOTE=sc://localhost:{connect_port} "
    writer, reader = (quoted(settings.tokens / role) for role in (WRITER, READER))
    token = "" if is_open else f'{THRIFT_TOKEN}="$(cat {writer})" '
    login = "" if is_open else f" -n {READER} -w {reader}"
    beeline = Path(pyspark.__file__).parent / "bin" / "beeline"
    return [
        f"  sparkify {same}{ports}{remote}sparkify --target thrift status",
        f"  dbt      {same}{ports}{token}dbt build --target thrift",
        f"  JDBC     {beeline} -u jdbc:hive2://{HOST}:{thrift_port}{login}",
        "  anyone   on this machine may do what you may: nobody is asked for a token"
        if is_open
        else f"  tokens   {writer} may do what you may, {READER} beside it only reads tables",
    ]


def quoted(path: Path) -> str:
    """A path as a shell takes it."""
    return shlex.quote(str(path))


def has_secret() -> bool:
    """Whether spark-defaults.conf has Spark's own ports ask for a secret."""
    home = os.environ.get("SPARK_HOME") or Path(pyspark.__file__).parent
    file = Path(os.environ.get("SPARK_CONF_DIR") or Path(home, "conf"), "spark-defaults.conf")
    asks = r"^\s*spark\.authenticate\s*[\s=:]\s*true\s*$"
    return file.exists() and re.search(asks, file.read_text(), re.M) is not None


def how_ended(code: int) -> str:
    """What an exit code of a process says of its end."""
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"


def spark_submit(
    settings: Settings, log: Path, thrift_port: int, connect_port: int, *, is_open: bool
) -> list[str]:
    """The command that starts the Thrift server with the Connect plugin in the same JVM."""
    conf = spark_settings(settings)
    # The gate looks at every statement, and at who logs in: for that Hive knows it from the
    # properties of the JVM only.
    options = (
        conf["spark.driver.extraJavaOptions"],
        f"-Dlog4j2.configurationFile={LOG_SETTINGS}",
        f"-Dsparkify.log={shlex.quote(str(log))}",
        f"-Dhive.server2.custom.authentication.class={CLASS}",
        # Nor is what a client sets while it connects filled in from the environment.
        "-Dhive.variable.substitute=false",
        "-Dhive.conf.restricted.list=hive.variable.substitute",
    )
    conf |= {
        "spark.driver.extraJavaOptions": " ".join(options),
        "spark.hadoop.hive.server2.authentication": "NONE" if is_open else "CUSTOM",
        "spark.sql.extensions": f"{conf['spark.sql.extensions']},{CLASS}",
        # Who reads does not wait until a build has done all that it asked for.
        "spark.scheduler.mode": "FAIR",
        "spark.plugins": "org.apache.spark.sql.connect.SparkConnectPlugin",
        "spark.connect.grpc.binding.address": HOST,
        "spark.connect.grpc.binding.port": str(connect_port),
        "spark.hadoop.hive.server2.thrift.bind.host": HOST,
        # A hive-site.xml may say otherwise; over HTTP Hive binds to every address, and knows who
        # comes again by a cookie, without the gate.
        "spark.hadoop.hive.server2.transport.mode": "binary",
        "spark.hadoop.hive.server2.use.SSL": "false",
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
    server: subprocess.Popen, thrift_port: int, connect_port: int, log: Path, start: int
) -> None:
    """Return once both ports answer; what this server says is in the log from a byte on."""
    limit_s = float(os.environ.get("SPARKIFY_SERVER_START_S", "180"))
    deadline = time.monotonic() + limit_s
    while not (listens(HOST, thrift_port) and listens(HOST, connect_port)):
        if time.monotonic() > deadline:
            raise BadInput(
                f"the server did not answer within {limit_s:.0f} s; see {log}, or give it more "
                "with SPARKIFY_SERVER_START_S"
            )
        with suppress(subprocess.TimeoutExpired):
            server.wait(timeout=0.5)
            raise BadInput(why_not_started(log, start))


def check_server(settings: Settings, *, thrift_port: int, connect_port: int) -> None:
    """Look whether a server on this machine answers on both ports and takes its tokens alone.

    Raises:
        BadInput: it does not answer, or refuses one of its tokens.
    """
    os.environ["SPARKIFY_THRIFT_HOST"] = HOST
    os.environ["SPARKIFY_THRIFT_PORT"] = str(thrift_port)
    os.environ["SPARK_REMOTE"] = f"sc://localhost:{connect_port}"
    spark = open_session(replace(settings, target="thrift"))
    spark.sql("select 1").collect()
    reader = settings.tokens / READER
    if lets_in(thrift_port, secrets.token_urlsafe()):
        said = "asks for no token: every user of this machine may do what you may"
    elif reader.exists() and lets_in(thrift_port, reader.read_text()):
        said = "takes the tokens of writer and reader, and no other"
    else:
        raise BadInput(
            f"the server at {HOST}:{thrift_port} does not take the reader's token in {reader}: set "
            "SPARKIFY_HOME to that of the server, or start the server again"
        )
    line(f"Spark {spark.version} answers on both ports and {said}.")
    line(f"  {HOST}:{thrift_port} (Thrift), localhost:{connect_port} (Connect)")


def lets_in(thrift_port: int, token: str) -> bool:
    """Whether a server on this machine takes a token over Thrift."""
    from pyhive import hive
    from thrift.transport.TTransport import TTransportException

    try:
        hive.connect(HOST, thrift_port, auth="CUSTOM", username="check", password=token).close()
    except TTransportException:
        return False
    return True
