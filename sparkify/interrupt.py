"""Ctrl-C, SIGTERM and a terminal that closes: leave at once, in one line, nothing left behind."""

import ctypes
import os
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sparkify.errors import run_again

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# What a JVM gets to end by itself: Spark deletes its scratch folders in it.
PATIENCE_S = 3
# Of prctl(2).
PR_SET_PDEATHSIG = 1
# A unix socket's name may have 107 bytes, 103 on macOS; those of a kernel end with some more.
LONGEST_FOLDER = 80

_scratch: set[Path] = set()


def on_signals(handler: Callable[[int, object], object]) -> None:
    """From now on `SIGNALS` call a handler; one that is ignored, as by nohup, stays so."""
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, handler)


def leave_on_signals() -> None:
    """From now on `SIGNALS` end this process."""
    # Whatever stderr is later, while the JVM starts for example, the line goes to this one.
    stderr = os.dup(2)
    on_signals(lambda number, _: leave(number, stderr=stderr))


def leave(number: int, *, stderr: int = 2) -> None:
    """Say so in one line, end the child processes, and leave without unwinding any stack.

    Threads of dbt and of training would wait for their statements, and tell of them one by one. A
    Delta table is replaced or appended to in one step, so there is nothing to be undone.
    """
    for one in SIGNALS:
        signal.signal(one, signal.SIG_IGN)
    with suppress(Exception):  # what was being written when the signal came cannot be flushed
        sys.stdout.flush()
    if os.isatty(1):
        os.write(1, b"\r\x1b[2K\x1b[?25h")  # the line of the spinner away, the cursor back
    with suppress(OSError):
        os.write(stderr, f"error: interrupted; {run_again()}\n".encode())
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)
    end_children()
    for folder in _scratch:
        shutil.rmtree(folder, ignore_errors=True)
    os._exit(128 + number)


def end_children() -> None:
    """End the processes that this one started: Java is asked first, others are killed."""
    # Only who leaves in haste needs it.
    import psutil

    asked = []
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            if child.name() == "java":
                child.terminate()
                asked.append(child)
            # Python's own janitor ends by itself, once it has put away what this process shared.
            elif not any("resource_tracker" in word for word in child.cmdline()):
                child.kill()
    _, alive = psutil.wait_procs(asked, timeout=PATIENCE_S)
    for child in alive:
        with suppress(psutil.NoSuchProcess):
            child.kill()


def end_with_parent() -> Callable[[], None] | None:
    """What a child runs before it begins, so that it ends when this process does, even if killed.

    None where the system cannot: only Linux tells a process of the death of its parent.
    """
    if sys.platform != "linux":
        return None
    # Loaded here: a process that has just split off should do as little as it can.
    prctl, parent = ctypes.CDLL(None).prctl, os.getpid()

    def ask() -> None:
        prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            os._exit(1)

    return ask


@contextmanager
def signals_kept() -> Iterator[None]:
    """Undo what a library does to the handlers: opening a Spark session sets one of its own."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A folder of this user's own, deleted at the end and when a signal ends the process.

    Its name is absolute, and short enough for unix sockets in it.
    """
    usual = tempfile.gettempdir()
    short = "/tmp" if len(os.fsencode(usual)) > LONGEST_FOLDER else usual
    folder = Path(tempfile.mkdtemp(prefix="sparkify-", dir=short))
    _scratch.add(folder)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        _scratch.discard(folder)
