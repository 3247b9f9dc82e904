"""The one Spark session of a run, with the settings of profiles/profiles.yml."""

import fcntl
import logging
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import yaml
from jinja2.sandbox import SandboxedEnvironment
from py4j.java_gateway import JVMView
from py4j.protocol import Py4JError
from pyspark import SparkConf, SparkContext
from pyspark.accumulators import AccumulatorTCPServer, AccumulatorUnixServer
from pyspark.errors import PySparkRuntimeError
from pyspark.sql import SparkSession

from sparkify.delta import has_jars
from sparkify.engine import set_engine, size_of_tables
from sparkify.errors import METASTORE_IN_USE, BadInput, WrongUse
from sparkify.interrupt import signals_kept
from sparkify.metastore import check_metastore, check_needs
from sparkify.remote import (
    CONNECT_PORT,
    CONNECT_TOKEN,
    check_thrift,
    has_remote,
    listens,
    open_remote,
    show_token,
)
from sparkify.settings import PROJECT, VARS, Settings, written
from sparkify.warehouse import check_place, check_schemas, check_warehouse, remove_leftovers

JAVA_VERSIONS = (17, 21)
# Usually within a quarter of a second.
JAVA_ANSWER_S = 30
LETTING_GO_S = 5
# What the children of this process show to its session. In the environment of the JVM, for every
# user of a machine can read its command line.
TOKEN = secrets.token_urlsafe()

# How Java and Spark tell of their end, among warnings and stacks.
FAILURE = re.compile(
    r"^(?:Exception in thread \S+ |Caused by: |# |Error: )*"
    r"((?:[a-z]\w*\.)+\w*(?:Exception|Error)\b.*|There is insufficient memory.*|"
    r"(?:Could not|Unrecognized|Invalid) .*)",
    re.M,
)


def open_session(
    settings: Settings, *, shared: bool = False, size: int | None = None
) -> SparkSession:
    """Open the session that dbt, Great Expectations and `ml` use.

    size: of the data in bytes of JSON, by which Spark is set; without it that of the tables.

    It is the active session if there is one. With SPARK_REMOTE set, or on the `thrift` target, it
    is a Spark Connect client of a running server. Otherwise it is this process's own; `shared`
    lets a child process (the notebook) use it too, in the environment that `child_environment`
    returns.

    Raises:
        BadInput: no Java, the wrong Java, no jars, no server where one should answer, or the place
            of the tables is out of reach.
        WrongUse: another process holds the metastore.
    """
    active = SparkSession.getActiveSession()
    if active is not None:
        return active
    settings.export()
    # pyspark prints every failed statement as a page of JSON, besides raising it.
    logging.getLogger("SQLQueryContextLogger").setLevel(logging.CRITICAL)
    if settings.target == "thrift":
        os.environ.setdefault("SPARK_REMOTE", f"sc://localhost:{CONNECT_PORT}")
    if has_remote():
        show_token(settings)
    if settings.target == "thrift":
        check_thrift()
    with signals_kept():
        if has_remote():
            spark = open_remote(os.environ["SPARK_REMOTE"])
            if settings.target == "thrift":
                check_schemas(spark, settings)
            return spark
        return open_local(settings, shared=shared, size=size)


def open_local(settings: Settings, *, shared: bool, size: int | None) -> SparkSession:
    """Open a session of this process's own: see `open_session`."""
    check_machine(settings)
    set_engine(size_of_tables(settings) if size is None else size)
    conf = spark_settings(settings) | (share_on_loopback() if shared else {})
    # Of a Java that is gone the command tells; these would each print a page.
    for server in (AccumulatorTCPServer, AccumulatorUnixServer):
        server.handle_error = lambda *_: None
    logging.getLogger().addFilter(is_no_lost_command)
    builder = SparkSession.builder.enableHiveSupport()
    for name, value in conf.items():
        builder = builder.config(name, value)
    settings.logs.mkdir(parents=True, exist_ok=True)
    log = settings.logs / "spark.log"
    said_before = size_of(log)
    try:
        with output_to(log), token_to_jvm(is_given=shared):
            if settings.is_elsewhere:
                SparkContext._ensure_initialized(conf=SparkConf().setAll(list(conf.items())))
                check_elsewhere(SparkContext._jvm, settings, conf)
            has_schemas = settings.metastore.exists()
            spark = builder.getOrCreate()
            if has_schemas and not settings.metastore_url:
                check_schemas(spark, settings)
            if settings.target == "parquet":
                remove_leftovers(spark, settings)
            return spark
    except (PySparkRuntimeError, Py4JError) as error:
        raise BadInput(why_not_started(log, said_before)) from error


def is_no_lost_command(record: logging.LogRecord) -> bool:
    """False for what py4j prints of a command that Java cannot answer, besides raising it."""
    return record.msg != "Exception while sending command."


def check_elsewhere(jvm: JVMView, settings: Settings, conf: Mapping[str, str]) -> None:
    """Look whether what is not on this machine answers, before Hive and Hadoop try for minutes.

    Raises:
        BadInput: the metastore or the place of the tables is out of reach, or they do not fit.
    """
    if settings.metastore_url:
        check_metastore(jvm, settings, conf["spark.sql.warehouse.dir"])
    if settings.local_warehouse is None:
        check_place(jvm, settings, conf)


def size_of(log: Path) -> int:
    """The bytes of a file; 0 without one."""
    return log.stat().st_size if log.exists() else 0


def why_not_started(log: Path, start: int = 0) -> str:
    """What Java or Spark said of why it ended, in a log from a byte on, and where to look."""
    said = log.read_bytes()[start:].decode(errors="replace") if log.exists() else ""
    found = FAILURE.search(said)
    reason = ": " + found[1].rstrip(".") if found else ""
    return (
        f"Spark does not start{reason}; see whether SPARK_MASTER, SPARKIFY_DRIVER_HOST and "
        f"SPARKIFY_DRIVER_MEMORY suit this machine (log: {log})"
    )


@contextmanager
def token_to_jvm(*, is_given: bool) -> Iterator[None]:
    """Hand the token to a JVM that starts here, and to no other child: a client would show it."""
    before = os.environ.get(CONNECT_TOKEN)
    if is_given:
        os.environ[CONNECT_TOKEN] = TOKEN
    try:
        yield
    finally:
        os.environ.pop(CONNECT_TOKEN, None)
        if before is not None:
            os.environ[CONNECT_TOKEN] = before


def spark_settings(settings: Settings) -> dict[str, str]:
    """The Spark settings of a target, as dbt renders them, whose renderer takes long to import."""
    profiles = yaml.safe_load((PROJECT / "profiles" / "profiles.yml").read_text())
    given = profiles["sparkify"]["outputs"][settings.target]["server_side_parameters"]
    jinja = SandboxedEnvironment()
    jinja.globals["env_var"] = lambda name, otherwise: os.environ.get(name, otherwise)
    found = {name: jinja.from_string(str(value)).render() for name, value in given.items()}
    # On few rows to generate and compile code takes longer than to do without. Not in the profile:
    # dbt-spark makes its settings anew before every statement, and some models want another way.
    mode = os.environ.get("SPARKIFY_CODEGEN") or "FALLBACK"
    found["spark.sql.codegen.factoryMode"] = mode.replace("ROWS", "NO_CODEGEN")
    return found


def is_local(master: str) -> bool:
    """Whether a master is no cluster, but Spark in one process."""
    return master.split("[")[0] == "local"


def check_java() -> None:
    """Refuse a Java that Spark does not run on, before it fails with a page of Java."""
    version = java_version()
    if version not in JAVA_VERSIONS:
        found = "Java was not found" if version is None else f"Java {version} was found"
        raise BadInput(
            f"{found}, and Spark needs 17 or 21; install OpenJDK 17 and set JAVA_HOME to it"
        )


def check_machine(settings: Settings) -> None:
    """Refuse what would fail in the JVM: the wrong Java, no jars, no master, a metastore in use."""
    check_java()
    if settings.table_format == "delta" and not has_jars(settings.jars):
        # The tables of that target lie below home, in a metastore of its own.
        is_elsewhere = settings.warehouse or settings.metastore_url
        otherwise = "" if is_elsewhere else ", or do without them: SPARKIFY_TARGET=parquet"
        raise BadInput(f"no Delta Lake jars in {settings.jars}; run `sparkify setup`{otherwise}")
    check_warehouse(settings)
    master = os.environ.get("SPARK_MASTER", "")
    if master.startswith("spark://") and not is_there(master):
        raise BadInput(f"no Spark master answers at {master}; start it, or mend SPARK_MASTER")
    if settings.metastore_url:
        check_needs(settings)
    elif stays_locked(settings.metastore / "dbex.lck"):
        raise WrongUse(METASTORE_IN_USE.format(settings.metastore))


def is_there(master: str) -> bool:
    """Whether one of the masters of an address such as spark://one:7077,other:7077 answers."""
    try:
        places = [urlsplit(f"//{each}") for each in master.removeprefix("spark://").split(",")]
        return any(listens(place.hostname, place.port) for place in places)
    except ValueError:  # a port that is none
        return False


def java_version() -> int | None:
    """The major version of the Java that Spark would start; None without one that answers."""
    home = os.environ.get("JAVA_HOME")
    java = str(Path(home, "bin", "java")) if home else shutil.which("java")
    if java is None or not Path(java).exists():
        return None
    try:
        words = subprocess.run(
            [java, "-version"], capture_output=True, text=True, timeout=JAVA_ANSWER_S
        ).stderr
    except (OSError, subprocess.TimeoutExpired):  # no program, or one that never answers
        return None
    found = re.search(r'version "(?:1\.)?(\d+)', words)
    return int(found.group(1)) if found else None


def stays_locked(lock: Path) -> bool:
    """Whether a lock is held on: the Java of a command that has just ended lets go of it soon."""
    deadline = time.monotonic() + LETTING_GO_S
    while is_locked(lock):
        if time.monotonic() > deadline:
            return True
        time.sleep(0.1)
    return False


def is_locked(lock: Path) -> bool:
    """Whether a process holds Derby's lock file; a killed one leaves the file, not the lock."""
    if not lock.exists():
        return False
    with lock.open("r+b") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
    return False


def share_on_loopback() -> dict[str, str]:
    """Settings that open a session to child processes: loopback only, behind a token."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return {
        "spark.plugins": "org.apache.spark.sql.connect.SparkConnectPlugin",
        "spark.connect.grpc.binding.address": "127.0.0.1",
        "spark.connect.grpc.binding.port": str(port),
    }


def child_environment(spark: SparkSession, settings: Settings) -> dict[str, str]:
    """The environment in which a child process opens the same session, with the same vars."""
    same = os.environ | {VARS: written(settings.overrides)}
    if "SPARK_REMOTE" in os.environ:
        return same
    port = spark.conf.get("spark.connect.grpc.binding.port")
    return same | {
        "SPARK_REMOTE": f"sc://localhost:{port}",
        CONNECT_TOKEN: TOKEN,
    }


@contextmanager
def java(settings: Settings) -> Iterator[JVMView]:
    """Java with the classes of Spark and of the jars, but no session; what it says is logged."""
    from pyspark.java_gateway import launch_gateway

    settings.logs.mkdir(parents=True, exist_ok=True)
    conf = SparkConf(loadDefaults=False).set("spark.driver.extraClassPath", f"{settings.jars}/*")
    with output_to(settings.logs / "spark.log"):
        gateway = launch_gateway(conf)
    try:
        yield gateway.jvm
    finally:
        gateway.shutdown()
        gateway.proc.stdin.close()
        gateway.proc.wait()


@contextmanager
def output_to(log: Path) -> Iterator[None]:
    """Send what a child process prints into a file: the JVM's greetings, warnings and reports."""
    streams = (sys.stdout, 1), (sys.stderr, 2)
    kept = [os.dup(number) for _, number in streams]
    with log.open("ab") as file:
        for stream, number in streams:
            stream.flush()
            os.dup2(file.fileno(), number)
    try:
        yield
    finally:
        for (stream, number), copy in zip(streams, kept, strict=True):
            stream.flush()
            os.dup2(copy, number)
            os.close(copy)
