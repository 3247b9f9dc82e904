"""What a table looked like one build ago, read from its Delta history."""

from collections.abc import Collection
from dataclasses import dataclass

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from sparkify.versions import history, readable

WRITES = ("CREATE", "REPLACE", "WRITE")


@dataclass(frozen=True)
class Previous:
    """Rows, and of each compared column the mean and the standard deviation."""

    row_count: int
    means: dict[str, float]
    deviations: dict[str, float]


def previous_build(
    spark: SparkSession, table: str, *, compared: Collection[str]
) -> Previous | None:
    """The table one write ago; None without one, as for plain Parquet or the first build.

    One whose files are gone is none either.
    """
    if not is_delta(spark, table):
        return None
    rows = history(spark, table, limit=20)
    writes = [row["version"] for row in rows if row["operation"].startswith(WRITES)]
    if len(writes) < 2 or writes[1] not in readable(rows):
        return None
    before = spark.sql(f"select * from {table} version as of {writes[1]}")
    return described(before, [name for name in before.columns if name in compared])


def is_delta(spark: SparkSession, table: str) -> bool:
    """Whether the table has a history."""
    facts = spark.sql(f"describe extended {table}").where("col_name = 'Provider'").first()
    return facts is not None and facts["data_type"].lower() == "delta"


def described(rows: DataFrame, columns: list[str]) -> Previous | None:
    """The moments of the columns, in one pass; None of an empty table."""
    found = rows.agg(
        F.count("*").alias("rows"),
        *(F.mean(name).alias(f"mean {name}") for name in columns),
        *(F.stddev_samp(name).alias(f"deviation {name}") for name in columns),
    ).first()
    if not found["rows"]:
        return None
    return Previous(
        found["rows"],
        {name: found[f"mean {name}"] for name in columns},
        {name: found[f"deviation {name}"] for name in columns},
    )
