"""The commands that take several stages: what `sparkify run` and `build` do."""

import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from pyspark.sql import SparkSession

from sparkify import transform, unchanged
from sparkify.events import SIMULATION
from sparkify.preload import loading
from sparkify.scoring import score_stage
from sparkify.settings import Settings
from sparkify.stages import RETENTION, check_tables, open_stage, report_stage, retention_stage
from sparkify.summary import (
    show_backtest,
    show_data,
    show_most_at_risk,
    show_next,
    show_targets,
    told_of,
    told_of_data,
)
from sparkify.terminal import line, stage, styled
from sparkify.training import train_snapshots
from sparkify.wording import plural


@dataclass(frozen=True)
class Checked:
    """How many checks of each kind the tables passed."""

    tests: int
    expectations: int


def run_all(settings: Settings, *, events: str | None, users: int, seed: int) -> dict:
    """Simulate if there are no events, build, check, train, score, say what came out, and report.

    Too little to learn from is not a failure: the tables, the checks and the report stay. Returns
    what came out, as JSON has it.
    """
    started = time.perf_counter()
    spark = open_stage(settings, events=events, users=users, shared=True)
    with loading(settings):
        if events is None:
            with stage(f"Simulating {plural(users, 'user')}"):
                out = settings.home / "simulated" / f"{users}-users-seed-{seed}"
                events = simulated_events(spark, users=users, seed=seed, out=out)
        inputs = unchanged.inputs_of(settings, events)
        checks = build_all(spark, settings, events, "--exclude", RETENTION)
    from ml.errors import NotTrainable, TableMismatch

    trained, untrained = None, None
    try:
        trained = train_snapshots(spark, settings)
    except (NotTrainable, TableMismatch) as reason:
        untrained = str(reason)
    # Without a new model the present one goes on, if there is one that fits.
    left_out = score_stage(spark, settings)
    checks = replace(checks, tests=checks.tests + retention_stage(spark, settings))
    found = {"data": told_of_data(spark, settings, **asdict(checks))}
    unchanged.remember(settings, inputs, found)
    show_data(settings, found["data"])
    if trained:
        show_backtest(*trained)
        found["model"] = told_of(*trained)
    if untrained or left_out:
        line()
        line(styled("Left out", "bold"))
        # Why nobody is scored may be that nothing could be trained.
        said = [untrained] if untrained and untrained not in (left_out or "") else []
        found["left_out"] = [*said, *filter(None, [left_out])]
        for reason in found["left_out"]:
            line(reason)
    if not left_out:
        show_most_at_risk(spark, settings)
        found["targets"] = show_targets(spark, settings)
    line()
    # Last, so that what came out is told whatever becomes of the report.
    page = report_stage(spark, settings)
    seconds = time.perf_counter() - started
    show_next(settings, page, seconds=seconds, has_scores=not left_out)
    return found | {"report": str(page), "seconds": round(seconds, 1)}


def simulated_events(spark: SparkSession, *, users: int, seed: int, out: Path) -> str:
    """Simulate a log unless `out` holds it already; return the folder of its events."""
    from sparkify import simulator

    if not (out / SIMULATION).exists():
        out.parent.mkdir(parents=True, exist_ok=True)
        simulator.simulate(spark, users=users, seed=seed, out=out)
    return str(out / "events")


def build_command(settings: Settings, events: str, *, full_refresh: bool = False) -> dict:
    """What `sparkify build` does; returns what came out, as JSON has it.

    Where nothing changed since the last build that passed, that one is told of again.
    """
    inputs = unchanged.inputs_of(settings, events)
    kept = None if full_refresh else unchanged.recall(settings, inputs)
    if kept:
        line(
            f"Nothing changed since {kept['at']}: the tables are as they were built and tested "
            "then. --full-refresh makes them anew"
        )
        show_data(settings, kept["summary"]["data"])
        return kept["summary"] | {"unchanged_since": kept["at"]}
    spark = open_stage(settings, events=events)
    refresh = ("--full-refresh",) if full_refresh else ()
    checks = build_all(spark, settings, events, *refresh)
    found = {"data": told_of_data(spark, settings, **asdict(checks))}
    unchanged.remember(settings, inputs, found)
    show_data(settings, found["data"])
    return found


def build_all(spark: SparkSession, settings: Settings, events: str, *selection: str) -> Checked:
    """Register the events, build and test the models, and hold them against the expectations."""
    unchanged.forget(settings)
    with stage("Building and testing the tables") as say:
        built = transform.build(settings, *selection, events=events, say=say)
    with stage("Checking the expectations"):
        expectations = check_tables(spark, settings)
    return Checked(built.test_count, expectations)
