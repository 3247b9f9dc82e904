"""The notebook, executed on the tables of this home."""

import logging
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellControlSignal, CellExecutionError
from pyspark.sql import SparkSession
from traitlets.config import Config

from sparkify.errors import SparkifyError
from sparkify.interrupt import scratch_folder
from sparkify.report import write_whole
from sparkify.session import child_environment
from sparkify.settings import PROJECT, Settings

NOTEBOOK = PROJECT / "Sparkify.ipynb"
CELL_S = 600
START_S = 120
ANSI = re.compile(r"\x1b\[[0-9;]*m")
ERROR = re.compile(r"[\w.]*(Error|Exception)\b: ")


def write_notebook(
    spark: SparkSession, settings: Settings, say: Callable[[str], None] = lambda now: None
) -> Path:
    """Run Sparkify.ipynb in a child process that shares the session; return the executed copy.

    say: told of each cell that has run, as `cell 3 of 41`.

    Raises:
        SparkifyError: a cell failed, or there is no kernel; names the reason.
    """
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    try:
        execute(notebook, child_environment(spark, settings), say)
    except CellExecutionError as error:
        words = [line for line in ANSI.sub("", error.traceback).splitlines() if line.strip()]
        # An error while a chart is drawn has no name of its own, only the traceback.
        named = [line for line in words if ERROR.match(line)]
        reason = named[-1] if named else words[-1]
        raise SparkifyError(f"the notebook failed: {reason}") from error
    # A cell that takes too long, a kernel that dies, and one that does not start.
    except (CellControlSignal, RuntimeError) as error:
        raise SparkifyError(f"the notebook failed: {str(error).splitlines()[0]}") from error
    folder = settings.home / "report"
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / NOTEBOOK.name, nbformat.writes(notebook))
    return folder / NOTEBOOK.name


def execute(
    notebook: nbformat.NotebookNode,
    environment: dict[str, str],
    say: Callable[[str], None] = lambda now: None,
) -> None:
    """Run every cell of a notebook in a kernel of its own, which ends with it."""

    kinds = [cell.cell_type for cell in notebook.cells]
    last = len(kinds) - kinds[::-1].index("code")

    def told(cell_index: int, **_: object) -> None:
        say(f"cell {cell_index + 1} of {last}")

    # What it would print of a kernel that dies is told in one line.
    logging.getLogger("traitlets").setLevel(logging.CRITICAL)
    with scratch_folder() as folder, ThreadPoolExecutor(1) as thread:
        # Unlike over TCP, the default, nobody else on the machine can listen in. The sockets lie
        # beside the connection file; without one their names depend on the working folder.
        sockets = {"transport": "ipc", "connection_file": str(folder / "kernel.json")}
        client = NotebookClient(
            notebook,
            config=Config(KernelManager=sockets),
            timeout=CELL_S,
            startup_timeout=START_S,
            record_timing=False,
            on_cell_executed=told,
            resources={"metadata": {"path": str(PROJECT)}},
        )
        # In the main thread it would set handlers of its own for SIGINT and SIGTERM.
        thread.submit(client.execute, env=environment).result()
