"""Execute the notebook on the tables of this home, and export it as a page."""

import logging
import re
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbconvert import HTMLExporter
from pyspark.sql import SparkSession
from traitlets.config import Config

from sparkify.errors import SparkifyError
from sparkify.session import child_environment
from sparkify.settings import PROJECT, Settings

NOTEBOOK = PROJECT / "Sparkify.ipynb"
TIMEOUT_S = 600
ANSI = re.compile(r"\x1b\[[0-9;]*m")
ERROR = re.compile(r"[\w.]*(Error|Exception)\b: ")


def write_report(spark: SparkSession, settings: Settings) -> Path:
    """Run Sparkify.ipynb in a child process that shares the session; return the HTML file.

    Raises:
        SparkifyError: a cell failed; names the reason.
    """
    logging.getLogger("traitlets").setLevel(logging.ERROR)
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    client = NotebookClient(
        notebook,
        # Unlike over TCP, the default, nobody else on the machine can listen in.
        config=Config(KernelManager={"transport": "ipc"}),
        timeout=TIMEOUT_S,
        startup_timeout=TIMEOUT_S,
        record_timing=False,
        resources={"metadata": {"path": str(PROJECT)}},
    )
    try:
        client.execute(env=child_environment(spark))
    except CellExecutionError as error:
        words = [line for line in ANSI.sub("", error.traceback).splitlines() if line.strip()]
        # An error while a chart is drawn has no name of its own, only the traceback.
        named = [line for line in words if ERROR.match(line)]
        reason = named[-1] if named else words[-1]
        raise SparkifyError(f"the notebook failed: {reason}") from error
    folder = settings.home / "report"
    folder.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, folder / NOTEBOOK.name)
    exporter = HTMLExporter(exclude_input_prompt=True, exclude_output_prompt=True)
    page = folder / "Sparkify.html"
    page.write_text(exporter.from_notebook_node(notebook)[0], encoding="utf-8")
    return page
