"""The stages that several commands begin or end with."""

from collections.abc import Iterable
from dataclasses import asdict
from functools import partial

from pyspark.sql import SparkSession

from sparkify import ledger, transform
from sparkify.datasets import DEFINITIONS, as_built, definitions
from sparkify.engine import USER_BYTES, set_engine, size_of_files
from sparkify.errors import CheckFailed
from sparkify.events import find_files, local_path
from sparkify.formatting import noun, plural
from sparkify.preload import beside
from sparkify.remote import has_remote
from sparkify.session import open_session
from sparkify.settings import Settings
from sparkify.terminal import stage

RETENTION = "path:models/marts/retention"


def open_stage(
    settings: Settings,
    *,
    events: str | None = None,
    users: int | None = None,
    shared: bool = False,
):
    """Start Spark, once it is clear that there are events to read, or users to simulate."""
    size = users * USER_BYTES if users and events is None else None
    if events is not None and (path := local_path(events)):
        size = size_of_files(find_files(path).files)
    ledger.begin_run()
    with stage("Starting Spark"):
        is_elsewhere = has_remote() or settings.target == "thrift"
        if size is None or is_elsewhere or SparkSession.getActiveSession():
            return open_session(settings, shared=shared, size=size)
        # What the profile says goes by it too, and dbt parses anew what is said otherwise.
        set_engine(size)
        with beside(partial(transform.parse, settings)):
            return open_session(settings, shared=shared, size=size)


def check_tables(spark: SparkSession, settings: Settings, tables: Iterable[str] = ()) -> int:
    """Hold tables (all that have a suite, without any) against it; return how many checks held.

    Every result goes into the ledger. An expectation of severity `warn` stops nothing.

    Raises:
        CheckFailed: names every expectation that does not hold.
    """
    from expectations import run
    from expectations.suites import SUITES

    unknown = settings.variables["max_nulled_share"]
    checks = run.check_tables(
        spark, tuple(tables) or tuple(SUITES), schema=settings.schema, unknown=unknown
    )
    ledger.record(spark, settings, map(asdict, checks), tool="great_expectations")
    failed = [check for check in checks if check.status == "fail"]
    if failed:
        words = "; ".join(f"{c.table_name}: {c.check_name} {c.detail}".rstrip() for c in failed)
        raise CheckFailed(
            f"{len(failed)} of {plural(len(checks), 'expectation')} "
            f"{noun(len(failed), 'does', 'do')} not hold: {words}; `sparkify checks` shows them"
        )
    return sum(check.status == "pass" for check in checks)


def retention_stage(spark: SparkSession, settings: Settings) -> int:
    """Build what lies on top of what `ml` wrote; return how many tests passed."""
    # A home that was last built before there were definitions has none.
    is_known = spark.catalog.tableExists(settings.table(DEFINITIONS))
    selection = [RETENTION] if is_known else [RETENTION, DEFINITIONS]
    # Nor has its dim_users the column that came later.
    if "first_registered_at" not in spark.table(settings.table("dim_users")).columns:
        selection.append("dim_users")
    same = as_built(settings, definitions(spark, settings))
    with stage("Building the retention marts") as say:
        return transform.build(same, "--select", *selection, say=say).test_count
