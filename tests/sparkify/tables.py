"""Tables compared whole, as the tests of increments do."""

import os
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession

# By the order in which they are made; the others are views of these.
TABLES = (
    *("base_sparkify__line_counts", "base_sparkify__rows", "base_sparkify__copies"),
    *("stg_sparkify__nulled_values", "int_sparkify__session_days", "fct_sessions"),
    *("fct_user_days", "dim_users", "fct_user_snapshots", "fct_user_features"),
)
# The others are made anew by every run.
INCREMENTAL = tuple(
    table
    for table in TABLES
    if table not in ("stg_sparkify__nulled_values", "dim_users", "fct_user_features")
)


def fingerprint(frame: DataFrame) -> tuple[int, int]:
    """Rows and a hash of them, in any order; a sketch by its estimate, for its bytes may differ."""
    columns = [
        f"round(hll_sketch_estimate({name}), 6)" if kind == "binary" else name
        for name, kind in frame.dtypes
    ]
    hashed = ", ".join(f"{column}, {column} is null" for column in columns)
    row = frame.selectExpr(f"xxhash64({hashed}) as hash").selectExpr(
        "count(*) as rows", "coalesce(sum(hash), 0) as hash"
    )
    return tuple(row.first())


def fingerprints(spark: SparkSession) -> dict[str, tuple[int, int]]:
    """The fingerprint of every table."""
    return {table: fingerprint(spark.table(f"sparkify.{table}")) for table in TABLES}


def defined(spark: SparkSession, table: str) -> tuple[int, int]:
    """The fingerprint of a table as its model defines it, over the tables it is made from."""
    found = Path(os.environ["DBT_TARGET_PATH"], "compiled").rglob(f"{table}.sql")
    # Inputs of unit tests are compiled under the names of the models they stand for.
    model = max(
        (file for file in found if not file.parent.suffix), key=lambda file: file.stat().st_mtime
    )
    columns = spark.table(f"sparkify.{table}").columns
    return fingerprint(spark.sql(model.read_text()).select(columns))


def last_write(spark: SparkSession, table: str):
    """The newest entry of a table's history."""
    return spark.sql(f"describe history sparkify.{table} limit 1").first()
