"""What `sparkify report` does: the page, and the notebook beside it."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pyspark.sql import SparkSession

from sparkify.contacts import check_offer
from sparkify.session import open_session
from sparkify.settings import Settings
from sparkify.terminal import line, stage


def write_report(settings: Settings) -> None:
    """Write the page and the notebook, and say where."""
    with stage("Starting Spark"):
        spark = open_session(settings, shared=True)
    line(f"Report: {report_stage(spark, settings)}", wrap=False)


def report_stage(spark: SparkSession, settings: Settings) -> Path:
    """Write the page and execute the notebook, which lies beside it; return the page.

    Raises:
        BadInput: there are no tables yet, or the vars are others than those of the contact list.
    """
    # Importing Altair and Jupyter takes seconds that other commands need not spend.
    from sparkify.report import write_page
    from sparkify.report.notebook import write_notebook

    check_offer(spark, settings)
    with stage("Writing the report and the notebook") as say, ThreadPoolExecutor(1) as beside:
        say("the page, and the notebook beside it")
        notebook = beside.submit(
            write_notebook, spark, settings, lambda cell: say(f"the notebook, {cell}")
        )
        page = write_page(spark, settings)
        notebook.result()
    return page
