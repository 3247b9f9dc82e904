"""Append to the tables that dbt declares as sources."""

from datetime import UTC, datetime

import pandas as pd
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from sparkify.errors import BadInput
from sparkify.settings import Settings


def append(spark: SparkSession, settings: Settings, rows: DataFrame, table: str) -> None:
    """Append to a table that dbt declares as a source, by name of column."""
    columns = schema_of(spark, table)
    rows.select(*(F.col(c.name).cast(c.dataType).alias(c.name) for c in columns)).write.format(
        settings.table_format
    ).mode("append").saveAsTable(table)


def append_pandas(spark: SparkSession, settings: Settings, rows: pd.DataFrame, table: str) -> None:
    """Append as `append` does, with the types of the table: those of nulls cannot be inferred."""
    schema = schema_of(spark, table)
    append(spark, settings, spark.createDataFrame(rows[schema.names], schema), table)


def schema_of(spark: SparkSession, table: str) -> StructType:
    """The columns of a table, which the YAML of the sources declares.

    Raises:
        BadInput: no run has created it yet.
    """
    if not spark.catalog.tableExists(table):
        raise BadInput(f"there is no table {table} yet; run `sparkify build --events PATH`")
    return spark.table(table).schema


def now() -> datetime:
    """The time that training, scoring and checks are stamped with."""
    return datetime.now(UTC)
