"""The report: a page for people who decide, and beside it the notebook for those who analyse."""

from pathlib import Path

from pyspark.sql import SparkSession

from sparkify.settings import Settings

PAGE = "Sparkify.html"


def write_page(spark: SparkSession, settings: Settings) -> Path:
    """Write the page of the present tables; return its path.

    Raises:
        BadInput: there are no tables yet.
    """
    from sparkify.report.data import collect
    from sparkify.report.page import render

    folder = settings.home / "report"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / PAGE
    write_whole(path, render(collect(spark, settings)))
    return path


def write_whole(path: Path, text: str) -> None:
    """Write a text, whole or not at all."""
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)
