"""What `sparkify run` does: every stage, and what came out of them."""

import time
from dataclasses import asdict, replace
from functools import partial

from sparkify import unchanged
from sparkify.commands.build import build_all
from sparkify.commands.report import report_stage
from sparkify.commands.score import score_stage
from sparkify.commands.simulate import simulated_events
from sparkify.commands.train import train_snapshots
from sparkify.formatting import plural
from sparkify.preload import beside, load
from sparkify.settings import Settings
from sparkify.stages import RETENTION, open_stage, retention_stage
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


def run_all(settings: Settings, *, events: str | None, users: int, seed: int) -> dict:
    """Simulate if there are no events, build, check, train, score, say what came out, and report.

    Too little to learn from is not a failure: the tables, the checks and the report stay. Returns
    what came out, as JSON has it.
    """
    started = time.perf_counter()
    spark = open_stage(settings, events=events, users=users, shared=True)
    with beside(partial(load, settings)):
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
