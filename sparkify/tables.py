"""Append to the tables that dbt declares as sources."""

from datetime import UTC, datetime

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from sparkify.errors import BadInput
from sparkify.settings import Settings


def append(spark: SparkSession, settings: Settings, rows: DataFrame, table: str) -> None:
    """Append to a table that dbt declares as a source, by name of column."""
    if not spark.catalog.tableExists(table):
        raise BadInput(f"there is no table {table} yet; run `sparkify build --events PATH`")
    columns = spark.table(table).schema
    rows.select(*(F.col(c.name).cast(c.dataType).alias(c.name) for c in columns)).write.format(
        settings.table_format
    ).mode("append").saveAsTable(table)


def now() -> datetime:
    """The time that training, scoring and checks are stamped with."""
    return datetime.now(UTC)
