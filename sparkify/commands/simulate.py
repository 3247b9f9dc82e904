"""What `sparkify simulate` does: write a log, and the truth beside it."""

import shlex
from pathlib import Path

from pyspark.sql import SparkSession

from sparkify import simulator
from sparkify.engine import USER_BYTES
from sparkify.events import SIMULATION
from sparkify.formatting import plural
from sparkify.session import open_session
from sparkify.settings import Settings
from sparkify.terminal import line, stage


def simulate_log(settings: Settings, *, users: int, seed: int, world: str, out: Path) -> None:
    """Write the events of users, and the truth beside them, into `out`; see `simulator.usable`.

    Raises:
        BadInput: it is a folder of something else than an earlier simulation.
    """
    simulator.usable(out)
    with stage("Starting Spark"):
        spark = open_session(settings, size=users * USER_BYTES)
    with stage(f"Simulating {plural(users, 'user')}"):
        written = simulator.simulate(spark, users=users, seed=seed, out=out, world=world)
    line(
        f"{plural(written.rows, 'event')} of {plural(written.users, 'user')}, "
        f"{written.churners:,} of whom cancel, in {out}",
        wrap=False,
    )
    events = shlex.quote(str(out / "events"))
    line(f"Next: {settings.command} build --events {events}", wrap=False)


def simulated_events(spark: SparkSession, *, users: int, seed: int, out: Path) -> str:
    """Simulate a log unless `out` holds it already; return the folder of its events."""
    if not (out / SIMULATION).exists():
        out.parent.mkdir(parents=True, exist_ok=True)
        simulator.simulate(spark, users=users, seed=seed, out=out)
    return str(out / "events")
