"""What one more day costs: a run after a day's file was added, against a build of everything.

And what it costs to hold all of it against the expectations.

python -m benchmarks.incremental [users]
"""

import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

from sparkify import ledger, stages, transform
from sparkify.engine import USER_BYTES
from sparkify.session import open_session
from sparkify.settings import Settings
from sparkify.simulator import simulate

MARTS = ("--exclude", "path:models/marts/retention", "resource_type:unit_test")


def main(users: int = 2000) -> None:
    """Print the seconds and the ratio, for `dbt run` and for `dbt build` with its tests."""
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["SPARKIFY_HOME"] = str(Path(scratch, "home"))
        os.environ["SPARKIFY_WAREHOUSE"] = ""
        settings = Settings.from_environment()
        settings.export()
        spark = open_session(settings, size=users * USER_BYTES)
        rows = simulate(spark, users=users, seed=1, out=Path(scratch, "log")).rows
        days = Path(scratch, "log", "events")
        print(f"{rows:,} events of {users:,} users in folders of {len(list(days.iterdir()))} days")
        last, before_last = sorted(days.iterdir(), reverse=True)[:2]
        transform.register_events(settings, str(days))
        for command, day in (("run", before_last), ("build", last)):
            for later in (before_last, last):
                if later >= day and later.exists():
                    shutil.move(later, scratch)
            full = seconds(settings, command, "--full-refresh")
            shutil.move(Path(scratch, day.name), days)
            more = seconds(settings, command)
            none = seconds(settings, command)
            print(
                f"dbt {command}: everything {full:.1f} s, one more day {more:.1f} s "
                f"({more / full:.1%}), nothing new {none:.1f} s ({none / full:.1%})"
            )
        ledger.begin_run()
        for time_of in ("first, with imports", "again"):
            started = time.perf_counter()
            held = stages.check_tables(spark, settings)
            print(f"{held} expectations, {time_of}: {time.perf_counter() - started:.1f} s")


def seconds(settings: Settings, command: str, *arguments: str) -> float:
    """How long a dbt command takes in the open session."""
    started = time.perf_counter()
    steps = []
    transform.run_dbt(settings, command, *arguments, *MARTS, say=steps.append)
    if os.environ.get("VERBOSE"):
        print(*steps, sep="\n")
    return time.perf_counter() - started


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
