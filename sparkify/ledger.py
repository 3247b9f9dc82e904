"""The quality ledger: every check of every run, whatever tool made it."""

import datetime as dt
import os
import uuid
from collections.abc import Iterable

import numpy as np
import pandas as pd
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from sparkify.formatting import number, plural
from sparkify.settings import Settings
from sparkify.sources import append
from sparkify.versions import changed_at

LEDGER = "quality_ledger"
# dbt hands what stands under this name on to macros, without parsing the project anew.
RUN_ID = "DBT_ENV_CUSTOM_ENV_SPARKIFY_RUN_ID"
KEY = ["tool", "table_name", "check_name"]
BAD = ("fail", "error", "warn", "skipped")
# What a bare `dbt run`, which makes no checks, leaves: that it was, and what it could not build.
DBT_RUN = "dbt run"
OF_DBT_RUN = (DBT_RUN, "the model can be built")
# Verdicts on a training.
TRAINABLE, PROVEN = "a model can be trained", "the trained model beats the base rate"
NOTHING_YET = "nothing has been checked yet; run `sparkify build --events PATH`"


def begin_run() -> None:
    """Give the checks that follow, of any tool, a run of their own in the ledger."""
    os.environ[RUN_ID] = str(uuid.uuid4())


def record(spark: SparkSession, settings: Settings, checks: Iterable[dict], *, tool: str) -> None:
    """Append checks of a tool other than dbt, which appends its own; keyed by column."""
    stamp = {"run_id": os.environ[RUN_ID], "checked_at": None, "tool": tool}
    rows = [check | stamp for check in checks]
    name = settings.table(LEDGER)
    schema = spark.table(name).schema
    rows = [tuple(row[name] for name in schema.fieldNames()) for row in rows]
    found = spark.createDataFrame(rows, schema)
    # By the same clock as the versions of tables, which is not this machine's on a server.
    append(spark, settings, found.withColumn("checked_at", F.current_timestamp()), name)


def verdict(name: str, table: str, *, failures: int, detail: str, rows: int | None = None) -> dict:
    """A check of `ml`'s for `record`, which stops nothing: it warns where there are failures."""
    return {
        "layer": "ml",
        "table_name": table,
        "check_name": name,
        "severity": "warn",
        "status": "warn" if failures else "pass",
        "failure_count": failures,
        "row_count": rows,
        "detail": detail,
    }


def untested(spark: SparkSession, settings: Settings, checks: pd.DataFrame) -> str:
    """Which tables were written after verdicts on them that stand; nothing if none was.

    By a killed build, a bare `dbt run` or by hand. Delta tables alone tell, and not after
    `sparkify erase`, which takes their history away.
    """
    made = checks[checks["tool"] != "ml"].groupby("table_name")["checked_at"].min()
    if settings.table_format != "delta" or made.empty:
        return ""
    views = {view.viewName for view in spark.sql(f"show views in {settings.schema}").collect()}
    changed = [
        name
        for name, checked_at in made.items()
        if name not in views
        and spark.catalog.tableExists(settings.table(name))
        and (at := changed_at(spark, settings.table(name)))
        and at > checked_at
    ]
    if not changed:
        return ""
    was, them = ("were", "them") if len(changed) > 1 else ("was", "it")
    return (
        f"{', '.join(changed)} {was} written after the checks that stand; "
        f"`{settings.command} build --events PATH` checks {them} again."
    )


def not_built(spark: SparkSession, ledger: str, runs: pd.DataFrame) -> str:
    """Which models the last run could not build, where it was a bare `dbt run`."""
    if not runs["is_bare"].iloc[0]:
        return ""
    rows = spark.table(ledger).where(F.col("run_id") == runs["run_id"].iloc[0])
    failed = rows.where(F.col("check_name") == OF_DBT_RUN[1]).orderBy("table_name").collect()
    if not failed:
        return ""
    told = "; ".join(f"{row.table_name} ({row.detail})" for row in failed)
    return f"dbt run at {runs['began'].iloc[0]:%Y-%m-%d %H:%M:%S} UTC could not build {told}."


def find_runs(spark: SparkSession, ledger: str) -> pd.DataFrame:
    """Every run, the last first: run_id, began, and of which kind it is.

    is_bare: a `dbt run`, which checks nothing but which values became null. is_build: it tested the
    tables from staging to the features, or would have. is_whole: such a one that came as far as the
    expectations.
    """
    names = ", ".join(f"'{name}'" for name in OF_DBT_RUN)
    return spark.sql(
        "select *, is_build and expects as is_whole from (select run_id, min(checked_at) as began,"
        f" any(check_name = '{DBT_RUN}') and every(check_name in ({names})"
        " or check_name like 'values of % that became null: %') as is_bare,"
        " count(distinct layer) filter (where tool = 'dbt' and layer in ('staging', 'core',"
        " 'features')) = 3 as is_build,"
        f" any(tool = 'great_expectations') as expects from {ledger} group by run_id)"
        " order by began desc, run_id"
    ).toPandas()


def shown_runs(runs: pd.DataFrame) -> pd.DataFrame:
    """Those of the runs, the last first, whose checks stand: from the last whole build on."""
    whole = np.flatnonzero(runs["is_whole"])
    return runs.iloc[: whole[0] + 1 if len(whole) else 1]


def standing(spark: SparkSession, ledger: str, runs: pd.DataFrame) -> pd.DataFrame:
    """The last verdict of each check since the last whole build among the runs, the last first.

    Most commands make some of the checks only: `sparkify score` those of what it writes. What is
    said of a trained model stands until the next training.
    """
    if runs.empty:
        return spark.table(ledger).limit(0).toPandas()
    shown, every = (
        ", ".join(f"'{run}'" for run in each["run_id"]) for each in (shown_runs(runs), runs)
    )
    rows = (
        spark.table(ledger)
        .where(f"run_id in ({shown}) or run_id in ({every}) and check_name = '{PROVEN}'")
        .toPandas()
    )
    return rows.sort_values("checked_at", kind="stable").drop_duplicates(KEY, keep="last")


def tested_at(checks: pd.DataFrame) -> dt.datetime | None:
    """When the tables were tested, of checks as they stand; a verdict on a model may be older."""
    tested = checks.loc[checks["tool"] != "ml", "checked_at"]
    return tested.min().to_pydatetime() if len(tested) else None


def refusal(spark: SparkSession, settings: Settings) -> str:
    """Why the last training since the build was refused, as a sentence; nothing if it was not."""
    name = settings.table(LEDGER)
    if not spark.catalog.tableExists(name):
        return ""
    found = standing(spark, name, find_runs(spark, name).query("not is_bare"))
    last = found[(found["check_name"] == TRAINABLE) & (found["status"] != "pass")]
    return f"The last training was refused: {last['detail'].iloc[0]}" if len(last) else ""


def how_many_passed(checks: pd.DataFrame) -> str:
    """That all checks passed, or how many did not."""
    bad = int(checks["status"].isin(BAD).sum())
    if bad:
        return f"{number(bad)} of {plural(len(checks), 'check')} did not pass"
    return "The one check passed" if len(checks) == 1 else f"All {len(checks):,} checks passed"


def found_instead(row) -> str:
    """How many rows do not hold, and such as what; of a verdict on a model its own words."""
    if row.tool == "ml" and row.detail:
        return row.detail
    if row.check_name.startswith("wrong_files") and row.failure_count > 0:
        return f"{plural(int(row.failure_count), 'file')}, by its source_file and its rejections"
    rows = "" if pd.isna(row.row_count) else f" of {row.row_count:,.0f}"
    count = "" if pd.isna(row.failure_count) else f"{row.failure_count:,.0f}{rows}"
    return f"{count} {row.detail or ''}".strip()
