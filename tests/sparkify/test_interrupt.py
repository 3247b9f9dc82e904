"""Ctrl-C and SIGTERM at any moment: one line, an exit code, and no process left behind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from sparkify.interrupt import SIGNALS, on_signals, scratch_folder
from sparkify.settings import PROJECT

pytestmark = pytest.mark.long

SPARKIFY = str(Path(sys.executable).parent / "sparkify")
# A process with what a command has at its worst: threads that wait, a child that ignores SIGTERM,
# one that shuts down slowly, sockets in a folder, and stderr that goes elsewhere for a while.
BUSY = """
import os, signal, subprocess, sys, threading, time
from sparkify.interrupt import leave_on_signals, scratch_folder
leave_on_signals()
os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
threading.Thread(target=time.sleep, args=(600,)).start()
stubborn = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
child = subprocess.Popen([sys.executable, "-c", stubborn])
with scratch_folder() as folder:
    print(child.pid, folder, flush=True)
    try:
        while True:
            time.sleep(0.01)
    except BaseException:
        print("unwound", flush=True)
"""
# What `sparkify report` does once there are tables.
NOTEBOOK = """
from sparkify.interrupt import leave_on_signals
from sparkify.report.notebook import write_notebook
from sparkify.session import open_session
from sparkify.settings import Settings
leave_on_signals()
settings = Settings.from_environment()
write_notebook(open_session(settings, shared=True), settings)
"""
INTERRUPTED = "error: interrupted; no table is half written: run the same command again\n"
# Its second stage takes for ever, which shows by what the first has left.
ENDLESS = """
    select count(*) from (select id % 7 as k from range(100) group by 1) as few
    cross join range(1000000000000) as many where hash(many.id, few.k) > 5
"""


def start(*command: str, out: Path, **environment: str) -> subprocess.Popen:
    """A process that a signal reaches as it does in a terminal."""
    with (out / "out").open("w") as stdout, (out / "err").open("w") as stderr:
        return subprocess.Popen(
            command,
            cwd=out,
            stdout=stdout,
            stderr=stderr,
            env=os.environ | {"PYTHONPATH": str(PROJECT)} | environment,
            # A suite in the background passes on that SIGINT is ignored.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )


def wait_until(process: subprocess.Popen, at: Callable[[], bool]) -> None:
    """Return at a moment of a process's."""
    deadline = time.monotonic() + 240
    while not at():
        if process.poll() is not None or time.monotonic() > deadline:
            process.terminate()
            raise AssertionError("the moment did not come")
        time.sleep(0.02)


def interrupt(process: subprocess.Popen, number: int, *, at: Callable[[], bool]) -> list[str]:
    """Wait for a moment, send the signal, and return the names of the children left."""
    wait_until(process, at)
    children = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(number)
    process.wait(timeout=60)
    _, alive = psutil.wait_procs(children, timeout=10)
    return [child.name() for child in alive]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_neither_threads_nor_children_nor_files(tmp_path, number):
    process = start(sys.executable, "-c", BUSY, out=tmp_path)
    left = interrupt(process, number, at=lambda: bool((tmp_path / "out").read_text()))
    assert (process.returncode, left) == (128 + number, [])
    assert (tmp_path / "err").read_text() == INTERRUPTED
    said = (tmp_path / "out").read_text()
    assert "unwound" not in said
    assert not Path(said.split()[1]).exists()


def has_child(process: subprocess.Popen, word: str) -> bool:
    """Whether a child process with this word in its command runs."""
    for child in psutil.Process(process.pid).children(recursive=True):
        try:
            if word in " ".join(child.cmdline()):
                return True
        except psutil.Error:
            continue
    return False


@pytest.mark.parametrize("moment", ["Spark starts", "a statement runs", "the notebook runs", "dbt"])
def test_a_command_is_interrupted_in_one_line(tmp_path, moment):
    events = tmp_path / "events.json"
    events.write_text('{"ts": 1538352117000, "userId": "1", "page": "Home", "sessionId": 1}\n')
    arguments = {
        "Spark starts": [SPARKIFY, "sql", "select 1"],
        "a statement runs": [SPARKIFY, "sql", ENDLESS],
        "the notebook runs": [sys.executable, "-c", NOTEBOOK],
        "dbt": [SPARKIFY, "build", "--events", str(events)],
    }
    home, scratch = tmp_path / "home", tmp_path / "scratch"
    log = home / "dbt" / "logs" / "dbt.log"
    own = {"SPARKIFY_HOME": str(home), "DBT_LOG_PATH": str(log.parent)}
    own |= {"DBT_TARGET_PATH": str(home / "dbt"), "SPARK_LOCAL_DIRS": str(scratch)}
    process = start(*arguments[moment], out=tmp_path, **own)
    reached = {
        "Spark starts": lambda: has_child(process, "java"),
        "a statement runs": lambda: any(scratch.rglob("shuffle_*.data")),
        "the notebook runs": lambda: has_child(process, "ipykernel"),
        "dbt": lambda: log.exists() and " START sql" in log.read_text(),
    }
    left = interrupt(process, signal.SIGINT, at=reached[moment])
    assert (tmp_path / "err").read_text() == INTERRUPTED
    assert (process.returncode, left) == (130, [])


def test_java_that_is_killed_is_told_in_one_line(tmp_path):
    scratch = {"SPARKIFY_HOME": str(tmp_path / "home"), "SPARK_LOCAL_DIRS": str(tmp_path / "s")}
    process = start(SPARKIFY, "sql", ENDLESS, out=tmp_path, **scratch)
    wait_until(process, lambda: any((tmp_path / "s").rglob("shuffle_*.data")))
    for child in psutil.Process(process.pid).children(recursive=True):
        child.kill()
    assert process.wait(60) == 3
    (said,) = (tmp_path / "err").read_text().splitlines()
    assert said.startswith("error: Java has ended") and "run the same command again" in said


def test_a_signal_that_is_ignored_stays_so():
    kept = [signal.signal(number, signal.SIG_IGN) for number in SIGNALS]
    try:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        on_signals(print)
        assert [signal.getsignal(number) for number in SIGNALS] == [
            signal.SIG_IGN,
            print,
            signal.SIG_IGN,
        ]
    finally:
        for number, handler in zip(SIGNALS, kept, strict=True):
            signal.signal(number, handler)


def test_opening_a_session_leaves_the_handlers_as_they_were(spark):
    handler = signal.getsignal(signal.SIGINT)
    assert not getattr(handler, "__module__", "").startswith("pyspark")


def test_a_scratch_folder_is_short_enough_for_sockets_whatever_the_usual_one(tmp_path, monkeypatch):
    long = tmp_path / ("x" * 120)
    long.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(long))
    with scratch_folder() as folder:
        assert folder.is_absolute() and len(os.fsencode(folder)) < 90
        assert folder.stat().st_mode & 0o077 == 0
    assert not folder.exists()
