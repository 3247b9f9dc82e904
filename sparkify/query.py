"""Print what a query returns, and which tables there are to ask."""

import re
from difflib import get_close_matches

import pandas as pd
import yaml
from pyspark.errors import AnalysisException, ParseException
from pyspark.sql import SparkSession

from sparkify import unchanged
from sparkify.errors import BadInput, WrongUse
from sparkify.session import open_session
from sparkify.settings import PROJECT, Settings
from sparkify.terminal import emit, line, paged, records, table
from sparkify.transform import first_line

# What only tells: it is no query, but writes nothing either.
TELLS = {"show", "describe", "desc", "explain"}
# Blanks and comments before the first word of a statement.
BEFORE = re.compile(r"(\s|--[^\n]*(\n|$)|/\*.*?\*/)*", re.DOTALL)
GRAIN = re.compile(r"One row per ([^.]+)\.")
POSITION = re.compile(r"[;.]? *\(?line \d+,? pos \d+\)?")
MARTS = ("dim_", "fct_")


def run_query(settings: Settings, query: str, *, style: str, write: bool = False) -> None:
    """Run one statement and print its rows as a `table`, as `csv` or as `json` lines.

    Raises:
        WrongUse: the statement is not valid, names what does not exist, or writes without `write`.
    """
    spark = open_session(settings)
    try:
        if write:
            unchanged.forget(settings)
        else:
            refuse_to_write(spark, query)
        rows = spark.sql(query).toPandas()
    except (AnalysisException, ParseException) as error:
        # Positions are those of the text that Spark was given, which is not the user's.
        said = POSITION.sub("", first_line(str(error))).rstrip(".")
        raise WrongUse(f"the query cannot be run: {said}{hint(spark, settings, error)}") from error
    if style == "csv":
        emit(rows.to_csv(index=False))
    elif style == "json":
        emit(rows.to_json(orient="records", lines=True, date_format="iso"))
    else:
        print_table(rows)


def refuse_to_write(spark: SparkSession, query: str) -> None:
    """Let through what can be no more than read; nothing is run for that, only parsed.

    Raises:
        WrongUse: the statement is another one.
        ParseException: it is none.
    """
    statement = query[BEFORE.match(query).end() :].rstrip().rstrip(";")
    if statement.split(maxsplit=1)[:1] and statement.split()[0].lower() in TELLS:
        return
    try:
        # Only a query can stand there, and `with x as (...) insert into` is none.
        spark.sql(f"select * from (\n{statement}\n)")
    except ParseException:
        spark.sql(f"explain {statement}")
        raise WrongUse(
            "`sparkify sql` only reads, and this statement is no query; if it is meant to change "
            "the tables, add --write"
        ) from None


def hint(spark: SparkSession, settings: Settings, error: AnalysisException) -> str:
    """What may be meant by a table that there is not, or how to get one."""
    if error.getCondition() != "TABLE_OR_VIEW_NOT_FOUND":
        return ""
    there = tables_of(spark, settings.schema)
    if not there:
        return "; there are no tables yet: run `sparkify build --events PATH`"
    wanted = error.getMessageParameters().get("relationName", "").replace("`", "").split(".")[-1]
    near = get_close_matches(wanted, there, n=1)
    meant = f"; did you mean {settings.table(near[0])}?" if near else ""
    marts = ", ".join(name for name in there if name.startswith(MARTS))
    return f"{meant} (in {settings.schema} there are {marts})"


def tables_of(spark: SparkSession, schema: str) -> list[str]:
    """The tables and views of a schema, none where there is no schema."""
    if not spark.catalog.databaseExists(schema):
        return []
    # The catalogue's own list cannot be decoded where Spark generates no code.
    shown = spark.sql(f"show tables in {schema}").where("not isTemporary").collect()
    return sorted(row["tableName"] for row in shown)


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
    line(f"`{settings.command} tables {marts[0]}` tells what its columns mean", style="dim")


def show_columns(settings: Settings, name: str) -> None:
    """Print the columns of a table that dbt builds or declares: name, type and meaning.

    Raises:
        WrongUse: there is no such table.
    """
    tells, wanted = described(), name.split(".")[-1]
    if wanted not in tells:
        near = get_close_matches(wanted, tells, n=1)
        meant = f"; did you mean {near[0]}?" if near else ";"
        raise WrongUse(f"there is no table {name}{meant} `sparkify tables` lists them")
    line(tells[wanted]["description"])
    table(
        "Columns",
        {"name": "left", "type": "left", "meaning": "left"},
        [
            (each["name"], each.get("data_type", ""), each["description"])
            for each in tells[wanted]["columns"]
        ],
    )


def described() -> dict[str, dict]:
    """By name, what the project's YAML says of each table that it builds or declares."""
    found = {}
    for file in sorted((PROJECT / "models").rglob("*.yml")):
        said = yaml.safe_load(file.read_text())
        sources = [each for source in said.get("sources", []) for each in source["tables"]]
        found |= {each["name"]: each for each in [*said.get("models", []), *sources]}
    return found


def print_table(rows: pd.DataFrame) -> None:
    """Numbers to the right, nulls as a dash; what is too wide has a column on each line."""
    columns = [
        (name, "right" if kind.kind in "if" else "left") for name, kind in rows.dtypes.items()
    ]
    shown = [[show(cell) for cell in row] for row in rows.itertuples(index=False, name=None)]
    with paged(lines=len(shown)):
        records(columns, shown)
    line(f"{len(rows):,} row{'' if len(rows) == 1 else 's'}", style="dim")


def show(cell: object) -> str:
    """A cell as a person reads it."""
    if pd.api.types.is_scalar(cell) and pd.isna(cell):
        return "–"
    if isinstance(cell, pd.Timestamp):
        return f"{cell:%Y-%m-%d %H:%M:%S}"
    return f"{cell:.4f}" if isinstance(cell, float) else str(cell)
