"""The commands that take several stages: what `sparkify run`, `build`, `train` and `score` do."""

import time
from dataclasses import dataclass
from pathlib import Path

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from sparkify import pipeline, transform
from sparkify.errors import WrongUse
from sparkify.pipeline import FEATURES, MODEL, RETENTION, SNAPSHOTS, Table
from sparkify.session import open_session
from sparkify.settings import Settings
from sparkify.terminal import console, stage, table


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
    show_data(spark, checks)
    if trained:
        show_backtest(*trained)
    if left_out:
        console.print(f"\n[bold]Left out[/bold]\n{left_out}")
    else:
        show_most_at_risk(spark)
    show_next(page, seconds=time.perf_counter() - started, has_scores=not left_out)


def open_stage(settings: Settings, *, events: str | None = None, shared: bool = False):
    """Start Spark, once it is clear that there is something to read."""
    if events is not None and "://" not in events:
        transform.check_path(Path(events))
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
        expectations = pipeline.check(spark)
    return Checked(built.test_count, expectations)


def retention_stage(settings: Settings) -> None:
    """Build what lies on top of what `ml` wrote."""
    with stage("Building the retention marts") as say:
        transform.build(settings, "--select", RETENTION, say=say)


def train_stage(spark: SparkSession, settings: Settings, *, options=None, model: str = MODEL):
    """Train on the snapshots and append how every candidate did."""
    from ml.training import TrainOptions

    snapshots = pipeline.feature_table(spark, settings, SNAPSHOTS)
    with stage("Tuning, stacking and backtesting the models") as say:
        result, registered = pipeline.train(
            settings, snapshots, options=options or TrainOptions(), model=model, say=say
        )
        performance = result.metrics.assign(
            run_id=registered.run_id,
            trained_at=pipeline.now(),
            model_name=registered.name,
            model_version=registered.version,
            feature_table=snapshots.name,
            feature_table_version=snapshots.version,
        )
        pipeline.append(
            spark, settings, spark.createDataFrame(performance), "sparkify_ml.model_performance"
        )
    return result, registered


def score_stage(spark: SparkSession, settings: Settings) -> str | None:
    """Append a score of every active user; return why not, where there is no champion."""
    from ml.scoring import score

    champion, reason = pipeline.registry(settings, MODEL).champion()
    if champion is None:
        return reason
    features = pipeline.feature_table(spark, settings, FEATURES)
    with stage("Scoring the active users"):
        scores = score(features.rows, champion, id=features.id, time=features.time)
        stamped = scores.withColumns(
            {
                "model_name": F.lit(champion.name),
                "model_version": F.lit(champion.version),
                "feature_table_version": F.lit(features.version),
                "scored_at": F.lit(pipeline.now()),
            }
        )
        pipeline.append(spark, settings, stamped, "sparkify_ml.churn_scores")
    return None


def train_command(
    settings: Settings,
    *,
    parquet: Path | None,
    id_column: str | None,
    label: str | None,
    time: str | None,
    exclude: str,
    horizon_days: int,
    models: str,
    origins: int,
    seed: int,
    name: str | None,
) -> None:
    """`sparkify train`: on the snapshots, once they pass their checks, or on an own table."""
    from ml.training import TrainOptions

    chosen = {"models": tuple(split(models))} if models else {}
    options = TrainOptions(origins=origins, seed=seed, **chosen)
    if parquet is None:
        if id_column or label or time or exclude:
            raise WrongUse("--id, --label, --time and --exclude describe a table: add --parquet")
        spark = open_stage(settings)
        with stage("Checking the expectations"):
            pipeline.feature_table(spark, settings, SNAPSHOTS)
            pipeline.check(spark, ["fct_user_snapshots"])
        result, registered = train_stage(spark, settings, options=options, model=name or MODEL)
    else:
        if not (id_column and label):
            raise WrongUse("--parquet needs --id and --label, the columns of user and churn")
        spark = open_stage(settings)
        own = pipeline.parquet_table(
            spark,
            parquet,
            id=id_column,
            label=label,
            time=time,
            exclude=tuple(split(exclude)),
            horizon_days=horizon_days,
        )
        with stage("Tuning, stacking and testing the models") as say:
            result, registered = pipeline.train(
                settings, own, options=options, model=name or pipeline.OWN_MODEL, say=say
            )
    show_backtest(result, registered)


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


def show_data(spark: SparkSession, checks: Checked) -> None:
    """Rows in, rejected, users, and the checks that passed."""
    rejected = spark.table("sparkify.stg_sparkify__rejected_events")
    reasons = rejected.groupBy("rejection_reason").count().orderBy(F.desc("count")).collect()
    events = spark.sql(
        "select count(*) as kept, coalesce(sum(copy_count), 0) as accepted,"
        " min(event_date) as first, max(event_date) as last"
        " from sparkify.stg_sparkify__events"
    ).first()
    users = spark.sql(
        "select count(*) as all, count_if(is_churned) as churned from sparkify.dim_users"
    ).first()
    turned_away = sum(row["count"] for row in reasons)
    why = ", ".join(f"{row['count']:,} {row['rejection_reason']}" for row in reasons)
    table(
        "Data",
        {"": "left", " ": "right", "  ": "left"},
        [
            ("rows read", f"{events['accepted'] + turned_away:,}", ""),
            ("events", f"{events['kept']:,}", f"{events['first']} to {events['last']}"),
            ("duplicates", f"{events['accepted'] - events['kept']:,}", ""),
            ("rejected", f"{turned_away:,}", why),
            ("users", f"{users['all']:,}", f"{users['churned']:,} of whom cancelled"),
            (
                "checks passed",
                f"{checks.tests + checks.expectations:,}",
                f"{checks.tests} dbt tests, {checks.expectations} expectations",
            ),
        ],
    )


def show_backtest(result, registered) -> None:
    """Each candidate's metrics beside what no skill would reach, with 95 % intervals."""
    shown = {"log_loss": "log loss", "roc_auc": "ROC AUC", "pr_auc": "PR AUC", "f1": "F1 (churn)"}
    metrics = result.metrics.set_index(["candidate", "metric"])
    counts = result.metrics.iloc[0]
    candidates = result.metrics["candidate"].unique()
    rows = [
        (
            f"{name} ←" if name == result.candidate else name,
            *(interval(metrics.loc[(name, metric)]) for metric in shown),
        )
        for name in candidates
        if name != "base_rate"
    ]
    no_skill = [f"{metrics.loc[(candidates[0], m), 'no_skill']:.3f}" for m in shown]
    table(
        f"Backtest: {counts['row_count']:,} predictions of {counts['user_count']:,} users, "
        f"{counts['churner_count']:,} of whom churned [not bold]\\[95 % interval][/not bold]",
        {"": "left", **dict.fromkeys(shown.values(), "right")},
        [*rows, ("no skill", *no_skill)],
    )
    for gain in (result.skill, result.stack_gain):
        console.print(
            f"log loss of {gain.candidate} under {gain.reference}: {gain.value:+.4f} "
            f"[{gain.ci_low:+.4f}, {gain.ci_high:+.4f}]",
            markup=False,
        )
    for sentence in (*result.warnings, registered.decision):
        console.print(sentence, markup=False)


def interval(row) -> str:
    """A value and its interval."""
    return f"{row['value']:.3f} [dim]\\[{row['ci_low']:.3f}, {row['ci_high']:.3f}][/dim]"


def show_most_at_risk(spark: SparkSession, count: int = 10) -> None:
    """The users to look at first."""
    rows = spark.sql(
        "select user_id, probability, reason_1, reason_2, reason_3"
        " from sparkify.fct_churn_scores"
        " where as_of_date = (select max(as_of_date) from sparkify.fct_churn_scores)"
        f" order by probability desc, user_id limit {count}"
    ).collect()
    table(
        f"The {len(rows)} users most at risk",
        {"user": "right", "probability": "right", "because of": "left"},
        [
            (
                row["user_id"],
                f"{row['probability']:.1%}",
                "\n".join(reason for reason in row[2:] if reason),
            )
            for row in rows
        ],
    )


def show_next(page: Path, *, seconds: float, has_scores: bool) -> None:
    """Where everything is, and what to try."""
    query = (
        "select * from sparkify.fct_churn_scores order by probability desc"
        if has_scores
        else "select * from sparkify.dim_users order by song_count desc"
    )
    console.print(
        f"\n[bold]Done in {seconds:.0f} s.[/bold] Report: {page}\n"
        "Next, with the environment active (. .venv/bin/activate):\n"
        f'  sparkify sql "{query}"\n'
        "  sparkify run --events PATH    your own events\n"
        "  dbt docs generate             the documentation of every table\n"
        "  sparkify serve                dbt, JDBC and MLlib for several people at once",
        soft_wrap=True,
    )
