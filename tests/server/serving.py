"""A running `sparkify serve` for tests."""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
from pyhive import hive

from sparkify.delta import Jars, install_jars
from sparkify.settings import Settings

BIN = Path(sys.executable).parent
SERVER = "org.apache.spark.sql.hive.thriftserver.HiveThriftServer2"
LAUNCHER = "org.apache.spark.launcher.Main"
NEVER_GIVEN_OUT = range(20_000, 32_000)


@dataclass(frozen=True)
class Server:
    """thrift: its port. environment: that of its clients. said: the lines that it printed."""

    home: Path
    thrift: int
    environment: dict[str, str]
    said: list[str]
    process: subprocess.Popen

    def token(self, role: str) -> str:
        return (self.home / "tokens" / role).read_text()

    def connect(self, password: str, **options) -> hive.Connection:
        login = {"auth": "CUSTOM", "username": "me", "password": password}
        return hive.connect("127.0.0.1", self.thrift, **login, **options)


def running_under(process: psutil.Process) -> dict[psutil.Process, list[str]]:
    """The command line of everything that a process has started; not of what has just ended."""
    found = {}
    for each in process.children(recursive=True):
        with suppress(psutil.Error):
            found[each] = each.cmdline()
    return found


def java_of(process: psutil.Process) -> list[psutil.Process]:
    """The Java of the server, not the one that only finds out how to start it."""
    return [
        each
        for each, words in running_under(process).items()
        if SERVER in words and LAUNCHER not in words
    ]


def wait_for(condition: Callable[[], object], limit_s: float = 60) -> None:
    """Return once a condition holds; fail when it takes too long."""
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def reaching(home: Path, thrift: int, connect: int, target: str) -> dict[str, str]:
    """The environment of clients of a server on these ports, of a target."""
    return os.environ | {
        "SPARKIFY_HOME": str(home),
        "SPARKIFY_TARGET": target,
        "DBT_TARGET_PATH": str(home / "dbt"),
        "SPARKIFY_THRIFT_PORT": str(thrift),
        "SPARK_REMOTE": f"sc://127.0.0.1:{connect}",
    }


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on, of those that no system gives out by itself.

    Of the others another test's connection may have taken one before a server binds to it.
    """
    with ExitStack() as stack:
        found = []
        while len(found) < count:
            port = secrets.choice(NEVER_GIVEN_OUT)
            with suppress(OSError):
                stack.enter_context(socket.socket()).bind(("127.0.0.1", port))
                found.append(port)
        return found


def jars_with(more: Jars, settings: Settings, folder: Path) -> Path:
    """A folder with the jars of the suite, and with others that the suite goes without."""
    jars = shutil.copytree(settings.jars, folder / "jars", ignore=shutil.ignore_patterns("*.jsa"))
    install_jars(jars, more)
    return jars


@contextmanager
def serving(home: Path, *options: str, schema: str = "sparkify") -> Iterator[Server]:
    """Start a server on free ports, and end it."""
    thrift, connect = free_ports(2)
    environment = reaching(home, thrift, connect, "local") | {"SPARKIFY_SCHEMA": schema}
    ports = ("--thrift-port", str(thrift), "--connect-port", str(connect))
    log = home.with_name(f"{home.name}.log")
    with log.open("w") as errors:
        process = subprocess.Popen(
            [BIN / "sparkify", "serve", *ports, *options],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    try:
        said = []
        for line in process.stdout:
            said.append(line)
            if "Ctrl-C" in line:
                break
        else:
            raise AssertionError(f"the server did not start: {said}\n{log.read_text()}")
        yield Server(home, thrift, environment, said, process)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)
