"""The stages of a run, each of which is a command of its own too."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import pandas as pd
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from sparkify import ledger, own_table
from sparkify.errors import BadInput, CheckFailed
from sparkify.settings import Settings
from sparkify.transform import Say
from sparkify.versions import history, readable
from sparkify.wording import core_of, wording_of

SNAPSHOTS = "fct_user_snapshots"
FEATURES = "fct_user_features"
DEFINITIONS = "dim_definitions"
# Followed by the horizon, as 14d.
LABEL = "is_churned_next_"
OWN_MODEL = "own-table"
RETENTION = "path:models/marts/retention"


@dataclass(frozen=True)
class Table:
    """Rows to train on or to score, which columns of them mean what, and what they were built with.

    definitions: by name, as dim_definitions has them, horizon_days among them. wording: how each
    column is told. exposure, min_exposure, core: see `ml.checks.TableSpec`.
    """

    rows: DataFrame
    name: str
    version: int | None
    id: str
    label: str | None = None
    time: str | None = None
    exclude: tuple[str, ...] = ()
    allow: tuple[str, ...] = ()
    horizon_days: int = 14
    wording: Mapping[str, object] = field(default_factory=dict)
    definitions: Mapping[str, str] = field(default_factory=dict)
    exposure: str | None = None
    min_exposure: float | None = None
    core: tuple[str, ...] = ()


def simulate(spark: SparkSession, *, users: int, seed: int, out: Path) -> str:
    """Simulate a log unless `out` holds it already; return the folder of its events."""
    from sparkify import simulator

    if not (out / simulator.MARKER).exists():
        out.parent.mkdir(parents=True, exist_ok=True)
        simulator.simulate(spark, users=users, seed=seed, out=out)
    return str(out / "events")


def check(spark: SparkSession, settings: Settings, tables: Iterable[str] = ()) -> int:
    """Hold tables (all that have a suite, without any) against it; return how many checks held.

    Every result goes into the ledger. An expectation of severity `warn` stops nothing.

    Raises:
        CheckFailed: names every expectation that does not hold.
    """
    from expectations.run import check_tables
    from expectations.suites import SUITES

    unknown = settings.variables["max_nulled_share"]
    checks = check_tables(
        spark, tuple(tables) or tuple(SUITES), schema=settings.schema, unknown=unknown
    )
    ledger.record(spark, settings, map(asdict, checks), tool="great_expectations")
    failed = [check for check in checks if check.status == "fail"]
    if failed:
        words = "; ".join(f"{c.table_name}: {c.check_name} {c.detail}".rstrip() for c in failed)
        raise CheckFailed(f"{len(failed)} of {len(checks)} expectations do not hold: {words}")
    return sum(check.status == "pass" for check in checks)


def feature_table(
    spark: SparkSession, settings: Settings, name: str, *, version: int | None = None
) -> Table:
    """One of the project's two feature tables, as it is now or was at a Delta version.

    Raises:
        BadInput: it has not been built, or has no such version.
    """
    name = settings.table(name)
    if not spark.catalog.tableExists(name):
        raise BadInput(f"there is no table {name} yet; run `sparkify build --events PATH`")
    rows = spark.table(name)
    if settings.table_format == "delta":
        kept = readable(history(spark, name))
        if version not in (None, *kept):
            raise BadInput(
                f"{name} has no version {version}; it has {min(kept)} to {max(kept)}, of which "
                f'`sparkify sql "describe history {name}"` tells more'
            )
        version = max(kept) if version is None else version
        rows = spark.sql(f"select * from {name} version as of {version}")
    elif version is not None:
        raise BadInput(f"{name} has no versions: plain Parquet keeps no history")
    label = next((c for c in rows.columns if c.startswith(LABEL)), None)
    built = definitions(spark, settings)
    if label:
        # The column knows it of an earlier version too.
        built["horizon_days"] = label.removeprefix(LABEL).removesuffix("d")
    return Table(
        rows=rows,
        name=name,
        version=version,
        id="user_id",
        label=label,
        time="as_of_date",
        exclude=("days_to_churn", "input_version"),
        horizon_days=int(built.get("horizon_days", 14)),
        definitions=built,
        wording=wording_of(rows.columns),
        core=core_of(rows.columns),
    )


def definitions(spark: SparkSession, settings: Settings) -> dict[str, str]:
    """What the feature tables were last built with, by name; nothing before a build wrote it.

    Raises:
        BadInput: the vars of the call are others.
    """
    name = settings.table(DEFINITIONS)
    if not spark.catalog.tableExists(name):
        return {}
    built = {name: str(value) for name, value in spark.table(name).first().asDict().items()}
    for name in built.keys() & settings.overrides.keys():
        given = settings.overrides[name]
        said = ", ".join(map(str, given)) if isinstance(given, list) else str(given)
        # The definition of churn is followed by its pages or days.
        if said not in (built[name], built[name].split(":")[0]):
            raise BadInput(
                f"the tables were built with {name} {built[name]}, and --vars says {said}; run "
                "`sparkify build --events PATH` with these vars, or leave them out"
            )
    return built


def champion_of(settings: Settings, features: Table):
    """The model to score the feature table with and its name; or None, and why in a sentence.

    A champion that means something else, or reads columns that are not there, is not used.
    """
    return registry(settings, settings.model).champion_for(
        features.rows, keys=(features.id, features.time), definitions=features.definitions
    )


def challenger_of(settings: Settings, features: Table):
    """The version that waits to be promoted, where there is one that fits the feature table."""
    return registry(settings, settings.model).challenger_for(
        features.rows, keys=(features.id, features.time), definitions=features.definitions
    )


def drift_reference(spark: SparkSession, settings: Settings, model):
    """What a deployed model learned from, as drift is measured against.

    Older cards do not have it: then it is the present snapshots.
    """
    from ml.drift import Reference, find_reference
    from ml.preprocessing import Columns

    kept = model.metadata.get("reference")
    if kept:
        return Reference(**kept)
    snapshots = feature_table(spark, settings, SNAPSHOTS)
    labelled = snapshots.rows.where(F.col(snapshots.label).isNotNull())
    return find_reference(labelled, Columns(model.features), user=snapshots.id)


def read_own_table(
    spark: SparkSession, settings: Settings, source: own_table.Source, *, id: str, **columns: object
) -> Table:
    """A table of the user's own, with its id as text.

    Raises:
        BadInput: it cannot be read, or has no rows.
        TableMismatch: it has no column of that name.
    """
    rows = own_table.prepare(
        own_table.read(spark, settings, source), id=id, time=columns.get("time")
    )
    return Table(rows=rows, name=source.given, version=None, id=id, **columns)


def train(
    settings: Settings,
    table: Table,
    *,
    options,
    model: str,
    say: Say,
    scoring: DataFrame | None = None,
):
    """Backtest, fit and register; return the result and the registered version.

    `scoring`, the rows to be scored, are held against those to learn from.
    """
    from ml.training import TableSpec
    from ml.training import train as fit

    spec = TableSpec(
        id=table.id,
        label=table.label,
        time=table.time,
        exclude=table.exclude,
        allow=table.allow,
        horizon_days=table.horizon_days,
        definitions=table.definitions,
        name=table.name,
        version=table.version,
        wording=table.wording,
        exposure=table.exposure,
        min_exposure=table.min_exposure,
        core=table.core,
    )
    result = fit(table.rows, spec, options=options, progress=say, scoring=scoring)
    say("Registering the model")
    registered = registry(settings, model).log(result, table.rows, spec, options)
    return result, registered


def score_table(settings: Settings, table: Table, *, model: str) -> pd.DataFrame:
    """The scores of a table of the user's own by the champion of `model`, highest first.

    Raises:
        NotTrainable: there is no champion.
        TableMismatch: a column that the model needs is missing or has another type.
    """
    from ml.errors import NotTrainable
    from ml.scoring import score

    champion, reason = registry(settings, model).champion()
    if champion is None:
        raise NotTrainable(reason)
    scores = score(table.rows, champion, id=table.id, time=table.time).toPandas()
    # Equal ones by id: Spark gives its rows back in no order.
    return scores.sort_values(["probability", table.id], ascending=[False, True])


def offer(settings: Settings):
    """What contacting a user costs and brings: the vars of the project, as SQL uses them."""
    from ml.economics import Offer

    variables, value = settings.variables, settings.variables["customer_value"]
    terms = {name: float(variables[name]) for name in ("contact_cost", "offer_cost", "acceptance")}
    terms |= (
        {"customer_value": float(value["paid"]), "free_value": float(value["free"])}
        if isinstance(value, Mapping)
        else {"customer_value": float(value)}
    )
    return Offer(**terms, currency=variables["currency"])


def registry(settings: Settings, model: str):
    """The model registry of this home."""
    from ml.registry import Registry

    (settings.home / "mlflow").mkdir(parents=True, exist_ok=True)
    return Registry(settings.tracking_uri, str(settings.home / "mlflow" / "artifacts"), model)
