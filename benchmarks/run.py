"""What each stage of `sparkify run` takes, beside its budget and what it took the last time.

python -m benchmarks.run [users]

The run is a process of its own in an empty home, with a simulated log. Budgets are of 225 users on
two cores: a stage above its own is marked, and nothing fails.
"""

import os
import re
import sys
import tempfile

from benchmarks.build import SPARKIFY, run
from benchmarks.figures import keep, last_time

# Seconds, by how the line begins that tells of the end of a stage.
BUDGETS = {
    "Starting Spark": 6,
    "Simulating": 6,
    "Building and testing the tables": 45,
    "Checking the expectations": 8,
    "Tuning, stacking and backtesting the models": 30,
    "Scoring the active users": 5,
    "Building the retention marts": 7,
    "Writing the report and the notebook": 13,
}
WHOLE = "all of it"
OF_BUDGETS = 225


def main(users: int = OF_BUDGETS) -> None:
    """Print a line a stage, and keep the seconds in SPARKIFY_HOME/bench/run.json."""
    found, cpu_s, peak_bytes = measured(users)
    budgets = BUDGETS | {WHOLE: sum(BUDGETS.values())} if users == OF_BUDGETS else {}
    before = last_time("run").get(str(users), {})
    for name, seconds in found.items():
        line = f"{name:<45} {seconds:6.1f} s"
        line += f" of {budgets[name]:3}" if name in budgets else ""
        line += f", the last time {before[name]:.1f} s" if name in before else ""
        print(line + ("  above its budget" if seconds > budgets.get(name, seconds) else ""))
    print(f"{cpu_s:.0f} CPU s, {peak_bytes / 2**30:.1f} GiB, all processes at their peak")
    keep("run", {str(users): found})


def measured(users: int) -> tuple[dict[str, float], float, int]:
    """Seconds by stage and of all of it, CPU seconds, and the most bytes of memory."""
    with tempfile.TemporaryDirectory() as home:
        environment = os.environ | {"SPARKIFY_HOME": home, "SPARKIFY_WAREHOUSE": ""}
        command = (SPARKIFY, "run", "--users", str(users))
        seconds, cpu_s, peak_bytes, said = run(*command, environment=environment)
    took = re.findall(r"^✓ (.*?) ([\d.]+) s$", said, flags=re.M)
    stages = {
        name: next(float(each) for words, each in took if words.startswith(name))
        for name in BUDGETS
    }
    return stages | {WHOLE: round(seconds, 1)}, cpu_s, peak_bytes


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
