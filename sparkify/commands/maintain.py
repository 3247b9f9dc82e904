"""Keep the tables small: fewer files, and no versions that nobody needs any more."""

import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from sparkify.errors import BadInput
from sparkify.formatting import plural
from sparkify.lock import run_held
from sparkify.registered import registry
from sparkify.session import open_session
from sparkify.settings import Settings
from sparkify.terminal import line, stage, table, warn
from sparkify.versions import history, readable, superseded

# For so long the log of a table tells of files that are gone from it; after that no VACUUM knows
# that a version needs them. Of the table that models learn from it is longer: see its YAML.
MAX_KEEP_DAYS, LEARNED_DAYS = 90, 3650
REMEMBERED = ("delta.logRetentionDuration", "delta.deletedFileRetentionDuration")
MB = 1 << 20
HOUR_MS = 3_600_000
DELTA = {
    # Files of half the target's size are large enough: each run would write them anew.
    "spark.databricks.delta.optimize.maxFileSize": str(128 * MB),
    "spark.databricks.delta.optimize.minFileSize": str(64 * MB),
    # The history tells what a VACUUM freed, and so what can be read after it.
    "spark.databricks.delta.vacuum.logging.enabled": "true",
    "spark.databricks.delta.retentionDurationCheck.enabled": "false",
    # By default a VACUUM keeps what the table says, not what the statement does.
    "spark.databricks.delta.vacuum.retentionWindowIgnore.enabled": "false",
    # By default a VACUUM lists even one folder in 10,000 tasks, which takes a minute a table.
    "spark.sql.sources.parallelPartitionDiscovery.parallelism": "16",
}


@dataclass(frozen=True)
class Maintained:
    """What became of a table.

    files: of its current version. kept_from: the oldest readable version. needed: those that were
    to be kept, unless they were gone before.
    """

    name: str
    files_before: int
    files_after: int
    bytes_freed: int
    kept_from: int
    needed: tuple[int, ...] = ()


def maintain(settings: Settings, *, keep_days: int) -> None:
    """Compact and vacuum every Delta table of the schema and of what `ml` writes, and print it.

    What was current within the last keep_days, and what a registered model learned from, stays
    readable.

    Raises:
        BadInput: there are no tables, or a run is under way on the server.
    """
    if settings.table_format != "delta":
        line(
            "Nothing to do: plain Parquet tables have no versions, and every run writes them anew."
        )
        return
    if keep_days == 0:
        warn(
            "--keep-days 0: a query that began before, and whoever reads an earlier version, loses "
            "its files"
        )
    with stage("Starting Spark"):
        spark = open_session(settings)
    names = delta_tables(spark, settings)
    if not names:
        raise BadInput(
            f"there are no tables in {settings.schema} yet; run `sparkify build --events PATH`"
        )
    learned = learned_from(settings)
    with run_held(settings), delta_settings(spark), stage("Compacting and vacuuming") as say:
        done = []
        for name in names:
            say(name)
            done.append(
                maintain_table(spark, name, keep_days=keep_days, needed=learned.get(name, ()))
            )
    show(done)


def maintain_table(
    spark: SparkSession, name: str, *, keep_days: int, needed: Collection[int] = ()
) -> Maintained:
    """Compact and vacuum a table; versions that are `needed`, and all later ones, stay readable."""
    before = file_count(spark, name)
    remember(spark, name, days=LEARNED_DAYS if needed else MAX_KEEP_DAYS)
    spark.sql(f"optimize {name}")
    rows = history(spark, name)
    ages, kept = superseded(rows), tuple(sorted({*needed} & {*readable(rows)}))
    since = [ages[version] or 0 for version in kept]
    # An hour more, for a VACUUM counts from its own beginning, and in whole hours here.
    hours = max(24 * keep_days, *(ceil(age / HOUR_MS) + 1 for age in since), 0)
    spark.sql(f"vacuum {name} retain {hours} hours")
    vacuums = spark.sql(f"describe history {name} limit 20").where("operation = 'VACUUM START'")
    left = readable(history(spark, name))
    return Maintained(
        name=name,
        files_before=before,
        files_after=file_count(spark, name),
        bytes_freed=int(vacuums.first()["operationMetrics"]["sizeOfDataToDelete"]),
        kept_from=min(left),
        needed=tuple(version for version in kept if version in left),
    )


def remember(spark: SparkSession, name: str, *, days: int) -> None:
    """Have the log of a table that was made otherwise tell of gone files for so long at least."""
    found = spark.sql(f"show tblproperties {name}").collect()
    given = {row["key"]: row["value"] for row in found}
    known = {key: days_of(spark, given.get(key, "")) for key in REMEMBERED}
    if min(known.values()) < days:
        # In one statement: neither may be shorter than the other.
        both = ", ".join(f"'{key}' = 'interval {max(n, days)} days'" for key, n in known.items())
        spark.sql(f"alter table {name} set tblproperties ({both})")


def days_of(spark: SparkSession, interval: str) -> int:
    """The days of an interval such as `interval 90 days` or `12 weeks`; 0 of what is none."""
    if not interval:
        return 0
    told = re.sub("(?i)^(interval )?", "interval ", interval.strip(), count=1)
    found = F.lit(told).try_cast("interval")
    days, hours = (F.extract(F.lit(unit), found) for unit in ("days", "hours"))
    return spark.range(1).select(F.coalesce(F.floor(days + hours / 24), F.lit(0))).first()[0]


def delta_tables(spark: SparkSession, settings: Settings) -> list[str]:
    """The Delta tables that dbt builds and that runs append to, by full name; no views."""
    names = []
    for schema in (settings.schema, f"{settings.schema}_ml"):
        if not spark.catalog.databaseExists(schema):
            continue
        views = {row.viewName for row in spark.sql(f"show views in {schema}").collect()}
        names += [
            f"{schema}.{row.tableName}"
            for row in spark.sql(f"show tables in {schema}").collect()
            if row.tableName not in views and not row.isTemporary
        ]
    return [name for name in names if is_delta(spark, name)]


def learned_from(settings: Settings) -> dict[str, set[int]]:
    """The versions of tables that registered models learned from: all versions of all models.

    They are those of this home; whoever has another one has other models.
    """
    if not (settings.home / "mlflow" / "mlflow.db").exists():
        return {}
    found: dict[str, set[int]] = {}
    for name in registry(settings, settings.model).names():
        for each in registry(settings, name).versions():
            if each.table_version is not None:
                found.setdefault(each.table, set()).add(each.table_version)
    return found


@contextmanager
def delta_settings(spark: SparkSession, wanted: Mapping[str, str] = DELTA) -> Iterator[None]:
    """The session with such settings, which are as before in the end."""
    kept = {name: spark.conf.get(name, None) for name in wanted}
    try:
        for name, value in wanted.items():
            spark.conf.set(name, value)
        yield
    finally:
        for name, value in kept.items():
            if value is None:
                spark.conf.unset(name)
            else:
                spark.conf.set(name, value)


def show(done: list[Maintained]) -> None:
    """A row a table, and all of them in one line."""
    table(
        "Maintenance",
        {
            "table": "left",
            "files before": "right",
            "after": "right",
            "freed": "right",
            "readable from version": "right",
        },
        [
            (
                each.name,
                f"{each.files_before:,}",
                f"{each.files_after:,}",
                in_units(each.bytes_freed),
                each.kept_from,
            )
            for each in done
        ],
    )
    line()
    line(
        f"{plural(len(done), 'table')}: "
        f"{plural(sum(each.files_before for each in done), 'file')} became "
        f"{sum(each.files_after for each in done):,}, and "
        f"{in_units(sum(each.bytes_freed for each in done))} are freed."
        + "".join(
            f" Models learned from {each.name} version {', '.join(map(str, each.needed))}: kept."
            for each in done
            if each.needed
        )
    )


def file_count(spark: SparkSession, name: str) -> int:
    """The files of the current version."""
    return spark.sql(f"describe detail {name}").first()["numFiles"]


def is_delta(spark: SparkSession, name: str) -> bool:
    """Whether a table has versions."""
    return spark.sql(f"describe detail {name}").first()["format"] == "delta"


def in_units(size: int) -> str:
    """Bytes as a person reads them."""
    for unit, limit in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size >= limit:
            return f"{size / limit:,.1f} {unit}"
    return f"{size} B"
