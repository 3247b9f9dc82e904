"""Print what a query returns."""

import click
from pyspark.errors import AnalysisException, ParseException
from rich.table import Table

from sparkify.errors import WrongUse
from sparkify.session import open_session
from sparkify.settings import Settings
from sparkify.terminal import console
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
        click.echo(rows.to_csv(index=False), nl=False)
    elif style == "json":
        click.echo(rows.to_json(orient="records", lines=True, date_format="iso"), nl=False)
    else:
        print_table(rows)


def print_table(rows) -> None:
    """Numbers to the right, nulls as a dash, never cut."""
    grid = Table(box=None, pad_edge=False, header_style="bold")
    for name, kind in rows.dtypes.items():
        grid.add_column(name, justify="right" if kind.kind in "if" else "left", overflow="fold")
    for row in rows.itertuples(index=False):
        grid.add_row(*(show(cell) for cell in row))
    console.print(grid)
    console.print(f"[dim]{len(rows):,} rows[/dim]")


def show(cell: object) -> str:
    """A cell as a person reads it."""
    if cell is None or cell != cell:
        return "–"
    return f"{cell:.4f}" if isinstance(cell, float) else str(cell)
