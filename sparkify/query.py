"""Print what a query returns."""

import sys

import pandas as pd
from pyspark.errors import AnalysisException, ParseException

from sparkify.errors import WrongUse
from sparkify.session import open_session
from sparkify.settings import Settings
from sparkify.terminal import line, table
from sparkify.transform import first_line


def run_query(settings: Settings, query: str, *, style: str) -> None:
    """Run one statement and print its rows as a `table`, as `csv` or as `json` lines.

    Raises:
        WrongUse: the statement is not valid, or names what does not exist.
    """
    spark = open_session(settings)
    try:
        frame = spark.sql(query)
        rows = frame.toPandas()
    except (AnalysisException, ParseException) as error:
        raise WrongUse(f"the query cannot be run: {first_line(str(error))}") from error
    if style == "csv":
        # Not by click, which takes escape sequences out of what it prints: this is data.
        sys.stdout.write(rows.to_csv(index=False))
    elif style == "json":
        sys.stdout.write(rows.to_json(orient="records", lines=True, date_format="iso"))
    else:
        print_table(rows)


def print_table(rows: pd.DataFrame) -> None:
    """Numbers to the right, nulls as a dash, never cut."""
    columns = [
        (name, "right" if kind.kind in "if" else "left") for name, kind in rows.dtypes.items()
    ]
    shown = (map(show, row) for row in rows.itertuples(index=False, name=None))
    table(None, columns, shown, heading_style="bold")
    line(f"{len(rows):,} rows", style="dim")


def show(cell: object) -> str:
    """A cell as a person reads it."""
    if pd.api.types.is_scalar(cell) and pd.isna(cell):
        return "–"
    return f"{cell:.4f}" if isinstance(cell, float) else str(cell)
