"""What `sparkify build` costs by the size of the log, beside what it cost the last time.

python -m benchmarks.build [users ...]

Each build is a process of its own in an empty home. CPU seconds and memory are of it and all that
it started; memory is the highest sum, asked twice a second.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from benchmarks.figures import keep, last_time

SPARKIFY = str(Path(sys.executable).with_name("sparkify"))
POLL_S = 0.5


@dataclass(frozen=True)
class Cost:
    """Of one build. nothing_new_s: of a second one on the same files."""

    lines: int
    json_bytes: int
    seconds: float
    cpu_s: float
    peak_bytes: int
    warehouse_bytes: int
    nothing_new_s: float


def main(*users: str) -> None:
    """Print a line a size, and keep the figures in SPARKIFY_HOME/bench/build.json."""
    before, found = last_time("build"), {}
    for size in users or ("225", "2000"):
        found[size] = asdict(measured(int(size)))
        print(told(size, found[size]))
        if size in before:
            print(f"  the last time: {told(size, before[size])}")
    keep("build", found)


def measured(users: int) -> Cost:
    """Simulate a log and build it twice."""
    with tempfile.TemporaryDirectory() as scratch:
        log, home = Path(scratch, "log"), Path(scratch, "home")
        environment = os.environ | {"SPARKIFY_HOME": str(home), "SPARKIFY_WAREHOUSE": ""}
        run(SPARKIFY, "simulate", "--users", str(users), "--out", str(log), environment=environment)
        command = (SPARKIFY, "build", "--json", "--events", str(log / "events"))
        seconds, cpu_s, peak_bytes, said = run(*command, environment=environment)
        nothing_new_s, *_ = run(*command, environment=environment)
        return Cost(
            lines=json.loads(said)["data"]["lines"],
            json_bytes=size_of(log / "events"),
            seconds=round(seconds, 1),
            cpu_s=round(cpu_s, 1),
            peak_bytes=peak_bytes,
            warehouse_bytes=size_of(home / "warehouse"),
            nothing_new_s=round(nothing_new_s, 1),
        )


def run(*command: str, environment: dict[str, str]) -> tuple[float, float, int, str]:
    """Run a command: its seconds, CPU seconds, most bytes of memory, and what it printed."""
    started, cpu, peak = time.perf_counter(), {}, 0
    with tempfile.TemporaryFile("w+") as output:
        process = psutil.Popen(command, env=environment, stdout=output)
        while process.poll() is None:
            used = 0
            for each in (process, *children_of(process)):
                try:
                    used += each.memory_info().rss
                    times = each.cpu_times()
                except psutil.Error:
                    continue
                cpu[each.pid] = times.user + times.system
            peak = max(peak, used)
            time.sleep(POLL_S)
        seconds = time.perf_counter() - started
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, command)
        output.seek(0)
        return seconds, sum(cpu.values()), peak, output.read()


def children_of(process: psutil.Process) -> list[psutil.Process]:
    """All that a process started; none once it has ended."""
    try:
        return process.children(recursive=True)
    except psutil.Error:
        return []


def size_of(folder: Path) -> int:
    """The bytes of all files below a folder."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def told(users: str, cost: dict) -> str:
    """One line."""
    return (
        f"{int(users):,} users, {cost['lines']:,} lines: {cost['seconds']:.0f} s, "
        f"{cost['cpu_s']:.0f} CPU s ({cost['cpu_s'] / cost['lines'] * 1e6:.0f} per million lines), "
        f"{cost['peak_bytes'] / 2**30:.1f} GiB, "
        f"tables {cost['warehouse_bytes'] / cost['json_bytes']:.0%} of the JSON; "
        f"nothing new {cost['nothing_new_s']:.1f} s"
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
