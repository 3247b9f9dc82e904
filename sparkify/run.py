"""The commands that take several stages: what `sparkify run`, `build`, `train` and `score` do."""

import time
from dataclasses import dataclass, replace
from pathlib import Path

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from sparkify import ledger, pipeline, transform
from sparkify.errors import WrongUse
from sparkify.pipeline import FEATURES, MODEL, RETENTION, SNAPSHOTS, Table
from sparkify.session import open_session
from sparkify.settings import Settings
from sparkify.summary import (
    show_backtest,
    show_data,
    show_most_at_risk,
    show_next,
    show_targets,
    show_training,
)
from sparkify.tables import append, now
from sparkify.terminal import console, stage


@dataclass(frozen=True)
class Checked:
    """How many checks of each kind the tables passed."""

    tests: int
    expectations: int


def run_all(settings: Settings, *, events: str | None, users: int, seed: int) -> None:
    """Simulate if there are no events, build, check, train, score, report, and say what came out.

    Too little to learn from is not a failure: the tables, the checks and the report stay.
    """
    started = time.perf_counter()
    spark = open_stage(settings, events=events, shared=True)
    if events is None:
        with stage(f"Simulating {users:,} users"):
            out = settings.home / "simulated" / f"{users}-users-seed-{seed}"
            events = pipeline.simulate(spark, users=users, seed=seed, out=out)
    checks = build_all(spark, settings, events, selection=("--exclude", RETENTION))
    from ml.errors import NotTrainable

    trained, left_out = None, None
    try:
        trained = train_stage(spark, settings)
    except NotTrainable as reason:
        left_out = str(reason)
    else:
        left_out = score_stage(spark, settings)
    retention_stage(settings)
    from sparkify.report import write_report

    with stage("Executing the notebook"):
        page = write_report(spark, settings)
    show_data(spark, tests=checks.tests, expectations=checks.expectations)
    if trained:
        show_backtest(*trained)
    if left_out:
        console.print(f"\n[bold]Left out[/bold]\n{left_out}")
    else:
        show_most_at_risk(spark)
        show_targets(spark)
    show_next(page, seconds=time.perf_counter() - started, has_scores=not left_out)


def open_stage(settings: Settings, *, events: str | None = None, shared: bool = False):
    """Start Spark, once it is clear that there is something to read."""
    if events is not None and "://" not in events:
        transform.check_path(Path(events))
    ledger.begin_run()
    with stage("Starting Spark"):
        return open_session(settings, shared=shared)


def build_all(
    spark: SparkSession, settings: Settings, events: str, *, selection: tuple[str, ...] = ()
) -> Checked:
    """Register the events, build and test the models, and hold them against the expectations."""
    with stage("Building and testing the tables") as say:
        transform.register_events(settings, events)
        built = transform.build(settings, *selection, say=say)
    with stage("Checking the expectations"):
        expectations = pipeline.check(spark, settings)
    return Checked(built.test_count, expectations)


def retention_stage(settings: Settings) -> None:
    """Build what lies on top of what `ml` wrote."""
    with stage("Building the retention marts") as say:
        transform.build(settings, "--select", RETENTION, say=say)


def train_stage(
    spark: SparkSession,
    settings: Settings,
    *,
    options=None,
    model: str = MODEL,
    version: int | None = None,
    exclude: tuple[str, ...] = (),
):
    """Train on the snapshots, of now or of a Delta version, and append how every candidate did."""
    from ml.training import TrainOptions

    snapshots = pipeline.feature_table(spark, settings, SNAPSHOTS, version=version)
    snapshots = replace(snapshots, exclude=(*snapshots.exclude, *exclude))
    features = pipeline.feature_table(spark, settings, FEATURES)
    with stage("Tuning, stacking and backtesting the models") as say:
        result, registered = pipeline.train(
            settings,
            snapshots,
            options=options or TrainOptions(offer=pipeline.offer()),
            model=model,
            say=say,
            # What is scored now says nothing of a table of the past.
            scoring=features.rows if version is None else None,
        )
        performance = result.metrics.assign(
            run_id=registered.run_id,
            trained_at=now(),
            model_name=registered.name,
            model_version=registered.version,
            feature_table=snapshots.name,
            feature_table_version=snapshots.version,
        )
        append(spark, settings, spark.createDataFrame(performance), "sparkify_ml.model_performance")
        append_learned(spark, settings, result, run_id=registered.run_id)
        ledger.record(spark, settings, [skill_check(result, snapshots)], tool="ml")
    return result, registered


def append_learned(spark: SparkSession, settings: Settings, result, *, run_id: str) -> None:
    """Append every prediction of the backtest, what the stack was fitted on, and its weights."""
    from ml import tables

    for rows, schema, name in (
        (
            tables.backtest_table(result, run_id=run_id),
            tables.BACKTEST_SCHEMA,
            "sparkify_ml.backtest",
        ),
        (
            tables.out_of_fold_table(result, run_id=run_id),
            tables.OUT_OF_FOLD_SCHEMA,
            "sparkify_ml.out_of_fold",
        ),
        (
            tables.weights_table(result, run_id=run_id),
            tables.WEIGHTS_SCHEMA,
            "sparkify_ml.stack_weights",
        ),
    ):
        append(spark, settings, spark.createDataFrame(rows, schema), name)


def skill_check(result, snapshots: Table) -> dict:
    """For the ledger: whether the model is better than the base rate; if not, it only warns."""
    skill = result.skill
    return {
        "layer": "ml",
        "table_name": snapshots.name.removeprefix("sparkify."),
        "check_name": "the deployed model beats the base rate",
        "severity": "warn",
        "status": "pass" if skill.value > 0 else "warn",
        "failure_count": int(skill.value <= 0),
        "row_count": int(result.metrics["row_count"].iloc[0]),
        "detail": f"log loss {skill.value:+.4f} [{skill.ci_low:+.4f}, {skill.ci_high:+.4f}]",
    }


def score_stage(spark: SparkSession, settings: Settings) -> str | None:
    """Append a score of every active user; return why not, where there is no champion."""
    from ml.scoring import score

    champion, reason = pipeline.registry(settings, MODEL).champion()
    if champion is None:
        return reason
    features = pipeline.feature_table(spark, settings, FEATURES)
    stamp = {
        "model_name": F.lit(champion.name),
        "model_version": F.lit(champion.version),
        "feature_table_version": F.lit(features.version),
        "scored_at": F.lit(now()),
    }
    with stage("Scoring the active users"):
        scores = score(features.rows, champion, id=features.id, time=features.time)
        append(spark, settings, scores.withColumns(stamp), "sparkify_ml.churn_scores")
        drift_stage(spark, settings, champion, features, stamp)
    return None


def drift_stage(spark: SparkSession, settings: Settings, champion, features: Table, stamp) -> None:
    """Append how each feature of the users scored differs from what the champion learned from."""
    from ml.drift import find_drift
    from ml.preprocessing import Columns

    snapshots = pipeline.learned_from(spark, settings, champion)
    found = find_drift(
        snapshots.rows.where(F.col(snapshots.label).isNotNull()),
        features.rows,
        Columns(champion.features),
        user=features.id,
    )
    as_of = features.rows.agg(F.max(features.time)).first()[0]
    rows = spark.createDataFrame(found.rename(columns={"column": "feature"}))
    rows = rows.withColumns(stamp | {"as_of_date": F.lit(as_of)})
    append(spark, settings, rows, "sparkify_ml.feature_drift")
    drifted = found.loc[found["is_drifted"], "column"]
    check = {
        "layer": "ml",
        "table_name": features.name.removeprefix("sparkify."),
        "check_name": "the users scored are like those learned from",
        "severity": "warn",
        "status": "warn" if len(drifted) else "pass",
        "failure_count": len(drifted),
        "row_count": features.rows.count(),
        "detail": f"features that drift: {', '.join(drifted)}" if len(drifted) else "",
    }
    ledger.record(spark, settings, [check], tool="ml")


def train_command(
    settings: Settings,
    *,
    feature_version: int | None,
    exclude: str,
    models: str,
    origins: int,
    seed: int,
    stable_only: bool,
    name: str | None,
    **own,
) -> None:
    """`sparkify train`: on the snapshots, once they pass their checks, or on an own table.

    `own`: what describes an own table; see `train_own_stage`.
    """
    from ml.training import TrainOptions

    chosen = {"models": tuple(split(models))} if models else {}
    options = TrainOptions(
        origins=origins, seed=seed, offer=pipeline.offer(), stable_only=stable_only, **chosen
    )
    left_out = tuple(split(exclude))
    if own["parquet"] is not None:
        if feature_version is not None:
            raise WrongUse("--feature-version is of the snapshots: leave out --parquet")
        trained = train_own_stage(settings, options=options, exclude=left_out, name=name, **own)
        show_training(*trained)
        return
    if own["id_column"] or own["label"] or own["time"] or own["allow"] or own["to_score"]:
        raise WrongUse(
            "--id, --label, --time, --allow and --to-score describe a table: add --parquet"
        )
    if stable_only and feature_version is not None:
        raise WrongUse(
            "--stable-only compares with the users to be scored now, so it does not go with "
            "--feature-version; name the columns with --exclude instead"
        )
    spark = open_stage(settings)
    if feature_version is None:
        with stage("Checking the expectations"):
            pipeline.feature_table(spark, settings, SNAPSHOTS)
            pipeline.check(spark, settings, ["fct_user_snapshots"])
    trained = train_stage(
        spark,
        settings,
        options=options,
        model=name or MODEL,
        version=feature_version,
        exclude=left_out,
    )
    show_training(*trained)


def train_own_stage(
    settings: Settings,
    *,
    options,
    exclude: tuple[str, ...],
    name: str | None,
    parquet: Path,
    id_column: str | None,
    label: str | None,
    time: str | None,
    allow: str,
    horizon_days: int,
    to_score: Path | None,
):
    """Train on a table of the user's own; with `to_score`, compare the rows to be scored."""
    if not (id_column and label):
        raise WrongUse("--parquet needs --id and --label, the columns of user and churn")
    if options.stable_only and to_score is None:
        raise WrongUse("--stable-only compares with the rows to be scored: add --to-score PATH")
    spark = open_stage(settings)
    own = pipeline.parquet_table(
        spark,
        parquet,
        id=id_column,
        label=label,
        time=time,
        exclude=exclude,
        allow=tuple(split(allow)),
        horizon_days=horizon_days,
    )
    scoring = pipeline.parquet_table(spark, to_score, id=id_column).rows if to_score else None
    with stage("Tuning, stacking and testing the models") as say:
        return pipeline.train(
            settings,
            own,
            options=options,
            model=name or pipeline.OWN_MODEL,
            say=say,
            scoring=scoring,
        )


def score_command(
    settings: Settings,
    *,
    parquet: Path | None,
    id_column: str | None,
    out: Path | None,
    name: str | None,
) -> None:
    """`sparkify score`: the active users into the marts, or an own table into a CSV file."""
    if parquet is None:
        if id_column or out or name:
            raise WrongUse("--id, --out and --name go with a table of your own: add --parquet")
        spark = open_stage(settings)
        left_out = score_stage(spark, settings)
        if left_out:
            from ml.errors import NotTrainable

            raise NotTrainable(left_out)
        retention_stage(settings)
        show_most_at_risk(spark)
        return
    if not (id_column and out):
        raise WrongUse("--parquet needs --id, the column of the user, and --out, the CSV to write")
    spark = open_stage(settings)
    own: Table = pipeline.parquet_table(spark, parquet, id=id_column)
    with stage("Scoring the table"):
        rows = pipeline.score_table(settings, own, model=name or pipeline.OWN_MODEL)
        pipeline.write_csv(rows, out)
    console.print(f"{len(rows):,} scores in {out}")


def split(names: str) -> list[str]:
    """Names with commas between."""
    return [name.strip() for name in names.split(",") if name.strip()]
