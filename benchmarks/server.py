"""What readers of `sparkify serve` wait for, alone and while its tables are built.

python -m benchmarks.server [readers] [seconds] [users]

Each reader asks one question after the other over a connection of its own. Meanwhile builds come
one after the other: of a log with one more day, of one that is as it was, and of everything anew.
Every answer has to be that of some version of its table.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

import numpy as np
from pyhive import hive

from benchmarks.build import SPARKIFY
from benchmarks.figures import keep, last_time
from tests.server.serving import Server, serving

# What is asked of each table.
QUESTIONS = {
    "fct_user_days": (
        "select activity_date, count(*), sum(event_count) from {table} "
        "group by activity_date order by activity_date"
    ),
    "fct_sessions": "select count(*), sum(event_count), max(started_at) from {table}",
    "dim_users": "select count(*), count_if(is_churned), max(churned_at) from {table}",
    "fct_user_features": "select count(*), sum(song_count_28d), max(as_of_date) from {table}",
    "fct_user_snapshots": (
        "select as_of_date, count(*), count_if(is_churned_next_14d) from {table} "
        "group by as_of_date order by as_of_date"
    ),
}
STEPS = ("one more day", "nothing new", "everything")


@dataclass
class Readers:
    """What readers saw. waited_s: from question to answer. answers: by table. seconds: of all."""

    seconds: float = 0
    waited_s: list[float] = field(default_factory=list)
    answers: set[tuple[str, str]] = field(default_factory=set)
    failed: list[str] = field(default_factory=list)


def main(readers: int = 20, seconds: int = 300, users: int = 225) -> None:
    """Print what readers waited for, and keep it in SPARKIFY_HOME/bench/server.json.

    Raises:
        SystemExit: a query failed, or an answer was that of no version.
    """
    with tempfile.TemporaryDirectory() as scratch:
        log, given = Path(scratch, "log"), Path(scratch, "given")
        simulate = (SPARKIFY, "simulate", "--users", str(users), "--out", str(log))
        subprocess.run(simulate, check=True, env=os.environ | {"SPARKIFY_HOME": scratch})
        days = sorted((log / "events").iterdir())
        half = len(days) // 2
        for day in days[:half]:
            shutil.copytree(day, given / day.name)
        with serving(Path(scratch, "home")) as server:
            build(server, given)
            with reading(server, readers) as alone:
                time.sleep(seconds / 5)
            built, deadline = Counter(), time.monotonic() + seconds
            with reading(server, readers) as beside:
                for day, step in product(days[half:], STEPS):
                    if step == "one more day":
                        shutil.copytree(day, given / day.name)
                    build(server, given, *(["--full-refresh"] if step == "everything" else []))
                    built[step] += 1
                    if time.monotonic() > deadline:
                        break
            wrong = [*alone.failed, *beside.failed, *unknown(server, alone, beside)]
    found = {"alone": summary(alone), "beside builds": summary(beside)}
    size = f"{readers} readers, {users} users"
    print(f"{size}; builds: " + ", ".join(f"{n} of {step}" for step, n in built.items()))
    for name, each in found.items():
        print(told(name, each))
    for name, each in last_time("server").get(size, {}).items():
        print(f"  the last time: {told(name, each)}")
    keep("server", {size: found})
    if wrong:
        raise SystemExit("\n".join(wrong[:20]))
    print("no query failed, and every answer is that of a version of its table")


def build(server: Server, log: Path, *options: str) -> None:
    """Build the tables as a client of the server."""
    command = (SPARKIFY, "--target", "thrift", "build", "--quiet", "--events", str(log), *options)
    subprocess.run(command, check=True, env=server.environment, stdout=subprocess.DEVNULL)


@contextmanager
def reading(server: Server, readers: int) -> Iterator[Readers]:
    """Have readers ask until the block ends."""
    seen, is_over = Readers(), threading.Event()
    threads = [
        threading.Thread(target=read, args=(server, seen, is_over, number))
        for number in range(readers)
    ]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        seen.seconds = time.perf_counter() - started
        is_over.set()
        for thread in threads:
            thread.join()


def read(server: Server, seen: Readers, is_over: threading.Event, number: int) -> None:
    """Ask one question after the other until one fails, each reader from another one on."""
    tables = list(QUESTIONS)
    with closing(server.connect(server.token("reader"))) as connection:
        for turn in range(number, sys.maxsize):
            if is_over.is_set():
                return
            table, started = tables[turn % len(tables)], time.perf_counter()
            try:
                answer = ask(connection, table)
            except hive.OperationalError as error:
                seen.failed.append(f"{table}: {error.args[0].status.errorMessage.splitlines()[0]}")
                return
            seen.waited_s.append(time.perf_counter() - started)
            seen.answers.add((table, answer))


def ask(connection: hive.Connection, table: str, version: str = "") -> str:
    """What a table answers, as text."""
    with closing(connection.cursor()) as cursor:
        cursor.execute(QUESTIONS[table].format(table=f"sparkify.{table}{version}"))
        return repr(cursor.fetchall())


def unknown(server: Server, *seen: Readers) -> list[str]:
    """The answers that no version of their table gives."""
    possible = set()
    with closing(server.connect(server.token("writer"))) as writer:
        for table in QUESTIONS:
            with closing(writer.cursor()) as cursor:
                cursor.execute(f"describe history sparkify.{table}")
                versions = [row[0] for row in cursor.fetchall()]
            possible |= {(table, ask(writer, table, f" version as of {each}")) for each in versions}
    given = set().union(*(each.answers for each in seen))
    return [f"{table} answered what no version does: {said}" for table, said in given - possible]


def summary(seen: Readers) -> dict:
    """How long was asked, queries, and what half of them and 99 of 100 took at most."""
    p50, p99 = np.percentile(seen.waited_s, [50, 99])
    return {
        "seconds": round(seen.seconds),
        "queries": len(seen.waited_s),
        "p50_s": round(p50, 2),
        "p99_s": round(p99, 2),
    }


def told(name: str, found: dict) -> str:
    """One line."""
    return (
        f"{name}: {found['queries']:,} queries in {found['seconds']:,} s "
        f"({found['queries'] / found['seconds']:.1f} a second), "
        f"p50 {found['p50_s']} s, p99 {found['p99_s']} s"
    )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
