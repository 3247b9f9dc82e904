"""What `sparkify tables` does: which tables there are to ask, and what their columns mean."""

import re
from difflib import get_close_matches

from sparkify.catalog import MARTS, described, tables_of
from sparkify.errors import BadInput, WrongUse
from sparkify.session import open_session
from sparkify.settings import Settings
from sparkify.terminal import line, table

GRAIN = re.compile(r"One row per ([^.]+)\.")
# Of what lies between them and the log some columns are described.
BETWEEN = ("base_", "int_")


def show_tables(settings: Settings) -> None:
    """Print each mart, what a row of it is, and how many rows it has.

    Raises:
        BadInput: there are none yet.
    """
    spark = open_session(settings)
    marts = [name for name in tables_of(spark, settings.schema) if name.startswith(MARTS)]
    if not marts:
        raise BadInput("there are no tables yet; run `sparkify build --events PATH`")
    rows, tells = [], described()
    for name in marts:
        grain = GRAIN.search(tells[name]["description"]) if name in tells else None
        count = spark.table(settings.table(name)).count()
        rows.append((settings.table(name), f"{count:,}", grain[1] if grain else ""))
    table(None, {"table": "left", "rows": "right", "one row per": "left"}, rows)
    line(f"`{settings.command} tables NAME` tells what the columns of one mean", style="dim")


def show_columns(settings: Settings, name: str) -> None:
    """Print the columns of a table that dbt builds or declares, as far as they are described.

    Raises:
        WrongUse: there is no such table.
    """
    tells, wanted = described(), name.split(".")[-1]
    if wanted not in tells:
        near = get_close_matches(wanted, tells, n=1)
        meant = f"; did you mean {near[0]}?" if near else ";"
        raise WrongUse(f"there is no table {name}{meant} `sparkify tables` lists them")
    line(tells[wanted]["description"])
    columns = tells[wanted].get("columns", [])
    # Names that hold a var, such as the label's.
    names = [
        re.sub(r"{{ *var\('(\w+)'\) *}}", lambda var: str(settings.variables[var[1]]), each["name"])
        for each in columns
    ]
    if columns:
        table(
            "Columns",
            {"name": "left", "type": "left", "meaning": "left"},
            [
                (name, each.get("data_type", ""), each["description"])
                for name, each in zip(names, columns, strict=True)
            ],
        )
    if not columns or wanted.startswith(BETWEEN):
        line(
            "Columns without a line here mean what they do in the tables that it is made from.",
            style="dim",
        )
