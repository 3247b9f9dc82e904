"""Which versions of a Delta table can be read, as its history tells."""

import pandas as pd
from pyspark.sql import Row, SparkSession

# After these a table has the files that it had before.
SAME_FILES = (
    "VACUUM START",
    "VACUUM END",
    "SET TBLPROPERTIES",
    "UNSET TBLPROPERTIES",
    "ADD COLUMNS",
)


def history(spark: SparkSession, table: str, *, limit: int | None = None) -> list[Row]:
    """version, operation, age_ms, retention_ms of a VACUUM, and definition of a table made anew.

    Of every version, the last first. The definition is the hash that `create_versioned` writes.

    Ages are by the clock of the server, as are the times of Delta.
    """
    rows = spark.sql(f"describe history {table}" + (f" limit {limit}" if limit else ""))
    return rows.selectExpr(
        "version",
        "operation",
        "unix_millis(current_timestamp()) - unix_millis(timestamp) as age_ms",
        "cast(coalesce(operationParameters['specifiedRetentionMillis'],"
        " operationParameters['defaultRetentionMillis']) as bigint) as retention_ms",
        "get_json_object(operationParameters['properties'], '$[\\'sparkify.definition\\']')"
        " as definition",
    ).collect()


def definition_of(rows: list[Row], version: int) -> str | None:
    """By which definition a version was made: that of the last time before it."""
    made = (row for row in rows if row["version"] <= version and row["definition"])
    return next((row["definition"] for row in made), None)


def changed_at(spark: SparkSession, table: str) -> pd.Timestamp | None:
    """When a Delta table was last written to (UTC); None if its history does not tell any more."""
    rows = spark.sql(f"describe history {table}").select("timestamp", "operation").toPandas()
    written = rows[~rows["operation"].isin([*SAME_FILES, "OPTIMIZE"])]
    return None if written.empty else written["timestamp"].max()


def superseded(rows: list[Row]) -> dict[int, int | None]:
    """How many ms ago a later version began to do without files of each; None: it has them all."""
    found, age = {}, None
    for row in rows:
        found[row["version"]] = age
        if row["operation"] not in SAME_FILES:
            age = row["age_ms"]
    return found


def readable(rows: list[Row]) -> list[int]:
    """The versions whose files no VACUUM has taken away, in doubt too few, the last first."""
    limits = [
        row["age_ms"] + row["retention_ms"] for row in rows if row["retention_ms"] is not None
    ]
    limit = min(limits, default=None)
    return [
        version
        for version, age in superseded(rows).items()
        if age is None or limit is None or age <= limit
    ]
