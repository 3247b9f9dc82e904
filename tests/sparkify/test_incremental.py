"""A run rewrites only what changed, and the tables are as if everything had been built anew."""

import datetime as dt
import gzip
import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

from sparkify import transform

PROJECT = Path(__file__).parents[2]
SELECTION = ("--exclude", "path:models/marts/retention")
TABLES = (
    "base_sparkify__rows",
    "stg_sparkify__events",
    "int_sparkify__session_days",
    "fct_sessions",
    "fct_user_days",
    "dim_users",
    "fct_user_snapshots",
    "fct_user_features",
)
# What `sparkify build` does before its tests, in one session.
RUN = f"""
import sys
from dbt.cli.main import dbtRunner
from sparkify import transform
from sparkify.settings import Settings
for events in sys.argv[1:]:
    transform.register_events(Settings.from_environment(), events)
ran = dbtRunner().invoke(["--no-use-colors", "run", *{SELECTION!r}])
sys.exit(not ran.success)
"""
# The others are made anew by every run.
INCREMENTAL = [table for table in TABLES if table not in ("dim_users", "fct_user_features")]


def fingerprint(frame) -> tuple[int, int]:
    """Rows and a hash of them, in any order; a sketch by its estimate, for its bytes may differ."""
    columns = [
        f"round(hll_sketch_estimate({name}), 6)" if kind == "binary" else name
        for name, kind in frame.dtypes
    ]
    row = frame.selectExpr(f"xxhash64({', '.join(columns)}) as hash").selectExpr(
        "count(*) as rows", "coalesce(sum(hash), 0) as hash"
    )
    return tuple(row.first())


def write(file: Path, lines: list[str]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join(lines) + "\n")


def of_the_same_size(lines: list[str]) -> list[str]:
    other = [line.replace('"NextSong"', '"Settings"') for line in lines]
    assert other != lines and [*map(len, other)] == [*map(len, lines)]
    return other


def compress(folder: Path, date: str, lines: list[str]) -> None:
    (folder / f"{date}.json.gz").write_bytes(gzip.compress("\n".join(lines).encode()))


def test_replayed_steps_leave_what_a_full_refresh_leaves(spark, settings, simulated_days, tmp_path):
    days, dates = simulated_days, sorted(simulated_days)[:16]
    folder = tmp_path / "events"

    def run(*arguments: str) -> dict[str, tuple]:
        transform.run_dbt(settings, "run", *SELECTION, *arguments)
        return {table: fingerprint(spark.table(f"sparkify.{table}")) for table in TABLES}

    def defined(table: str) -> tuple:
        """The whole table as its model defines it, over the tables it is made from."""
        found = (settings.home / "dbt" / "compiled").rglob(f"{table}.sql")
        # Inputs of unit tests are compiled under the names of the models they stand for.
        model = next(file for file in found if not file.parent.suffix)
        whole = spark.sql(model.read_text())
        return fingerprint(whole.select(spark.table(f"sparkify.{table}").columns))

    def write_days(some: list[str]) -> None:
        for date in some:
            write(folder / f"{date}.json", days[date])

    def versions() -> dict[str, int]:
        return {table: last_write(table).version for table in INCREMENTAL}

    def last_write(table: str):
        return spark.sql(f"describe history sparkify.{table} limit 1").first()

    def steps():
        yield (
            "more days come in any order, and late events of old days in a folder of their own",
            lambda: (
                write_days(order[3:]),
                write(folder / "late" / "a.json", days[dates[2]] + days[dates[7]]),
            ),
        )
        yield (
            "the same events again, twice in one file, and broken lines",
            lambda: write(folder / "again.json", days[dates[5]] * 2 + ["{broken", "[1]"]),
        )
        yield (
            "a file grew",
            lambda: write(folder / f"{dates[9]}.json", days[dates[9]] + days[dates[10]]),
        )
        yield (
            "files were replaced, one by fewer of its events, one by others in as many bytes",
            lambda: (
                write(folder / f"{dates[4]}.json", days[dates[4]][::2]),
                write(folder / f"{dates[8]}.json", of_the_same_size(days[dates[8]])),
            ),
        )
        yield (
            "files vanish, and with them days; another only has a new name",
            lambda: (
                (folder / f"{dates[0]}.json").unlink(),
                (folder / f"{dates[6]}.json").unlink(),
                (folder / f"{dates[3]}.json").rename(folder / "a new name.json"),
            ),
        )
        yield (
            "many days at once, compressed, the last first",
            lambda: [compress(folder, date, days[date]) for date in reversed(dates[11:])],
        )

    order = [date for date in dates[:10] if date not in (dates[2], dates[7])]
    random.Random(0).shuffle(order)
    write_days(order[:3])
    transform.register_events(settings, str(folder))
    run()
    for step, change in steps():
        change()
        found = run()
        for table in INCREMENTAL:
            assert found[table] == defined(table), f"{step}: {table}"
    before = versions()
    assert run() == found and versions() == before, "a run with nothing new wrote something"
    assert run("--full-refresh") == found


def test_one_more_day_rewrites_what_it_changes_alone(spark, settings, simulated_days, tmp_path):
    def rewritten(table: str) -> list[str]:
        last = spark.sql(f"describe history sparkify.{table} limit 1").first()
        value = r"\d{4}-\d\d-\d\d|[0-9a-f]{32}"
        return sorted(re.findall(value, last.operationParameters["predicate"]))

    saturday, sunday = "2018-11-10", "2018-11-11"
    for date, lines in simulated_days.items():
        if date < sunday:
            write(tmp_path / f"{date}.json", lines)
    transform.register_events(settings, str(tmp_path))
    transform.run_dbt(settings, "run", *SELECTION)
    write(tmp_path / "more.json", simulated_days[sunday])
    transform.run_dbt(settings, "run", *SELECTION)
    files = spark.table("sparkify.base_sparkify__files").where("source_file like '%more.json'")
    assert rewritten("base_sparkify__rows") == [files.first().file_id]
    for table in ("stg_sparkify__events", "int_sparkify__session_days", "fct_user_days"):
        assert rewritten(table) == [sunday]
    # A session may have begun the evening before.
    assert {sunday} <= {*rewritten("fct_sessions")} <= {saturday, sunday}
    # One date's label is known now, and one date is new; those between wait for their label.
    assert rewritten("fct_user_snapshots") == ["2018-10-29", "2018-11-12"]


def test_a_changed_definition_makes_the_tables_anew(spark, settings, simulated_days, tmp_path):
    lines = [line for lines in simulated_days.values() for line in lines]
    events = [event for event in map(json.loads, lines) if event["auth"] == "Logged In"]
    left = {event["userId"] for event in events if event["page"] == "Cancel"}
    stayed = next(event for event in events if event["userId"] not in left)
    write(tmp_path / "a.json", [*lines, json.dumps(stayed | {"page": "Submit Downgrade"})])
    transform.register_events(settings, str(tmp_path))
    churned = []
    for definition in (
        {},
        {"churn_definition": "inactive", "inactive_days": 10},
        {
            "churn_definition": "cancelled_or_downgraded",
            "horizon_days": 7,
            "feature_windows": [3, 30],
        },
    ):
        transform.run_dbt(settings, "run", *SELECTION, "--vars", json.dumps(definition))
        churned.append(spark.table("sparkify.dim_users").where("is_churned").count())
    assert churned[0] < churned[1]
    pages = "page in ('Cancellation Confirmation', 'Submit Downgrade')"
    events = spark.table("sparkify.stg_sparkify__events").where(pages)
    assert churned[0] < churned[2] == events.select("user_id").distinct().count()
    snapshots = spark.table("sparkify.fct_user_snapshots")
    assert {"song_count_3d", "song_count_30d", "is_churned_next_7d"} <= {*snapshots.columns}
    assert not any("14d" in name or "28d" in name for name in snapshots.columns)
    assert snapshots.where("days_to_churn > 6").count() == 0
    # Labels are known a week before the data ends, and for the other dates not.
    last = snapshots.where("is_churned_next_7d is not null").agg({"as_of_date": "max"}).first()[0]
    end = dt.date.fromisoformat(max(simulated_days)) + dt.timedelta(days=1)
    assert dt.timedelta(days=7) <= end - last < dt.timedelta(days=14)


def test_a_killed_run_leaves_whole_tables_and_the_next_one_repairs_them(
    spark, settings, simulated_days, tmp_path
):
    home, folder = tmp_path / "home", tmp_path / "events"
    days, dates = simulated_days, sorted(simulated_days)
    environment = os.environ | {
        "SPARKIFY_HOME": str(home),
        "DBT_TARGET_PATH": str(home / "dbt"),
        "DBT_LOG_PATH": str(home / "dbt" / "logs"),
    }
    chance = random.Random(5)

    def state() -> dict[str, tuple]:
        """What a reader sees, table by table; read as files, beside the run."""
        warehouse = home / "warehouse" / "sparkify.db"
        return {
            table: fingerprint(spark.read.format("delta").load(str(warehouse / table)))
            for table in TABLES
        }

    def dbt_run(*events: str, kill: bool = False, whole: tuple[dict[str, tuple], ...] = ()) -> None:
        """Run; what a reader sees meanwhile and after a kill is one of the `whole` states."""
        process = subprocess.Popen(
            [sys.executable, "-c", RUN, *events],
            cwd=PROJECT,
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        started = 0
        last = chance.randint(2, 11)
        for line in process.stdout:
            begins = "START sql" in line
            started += begins
            if begins and whole and started in (2, 7):
                assert_whole(whole)
            if kill and started >= last:
                # At some moment of the model that has just begun.
                threading.Event().wait(chance.uniform(0, 3))
                os.killpg(process.pid, signal.SIGKILL)
                break
        assert process.wait(timeout=300) == (-signal.SIGKILL if kill else 0)
        if kill:
            assert_whole(whole)

    def assert_whole(whole: tuple[dict[str, tuple], ...]) -> None:
        seen = state()
        for table in TABLES:
            assert seen[table] in [each[table] for each in whole], table

    for date in dates[:10]:
        write(folder / f"{date}.json", days[date])
    dbt_run(str(folder))
    before = state()
    write(folder / "late.json", days[dates[3]] + days[dates[12]])
    (folder / f"{dates[1]}.json").unlink()
    transform.register_events(settings, str(folder))
    transform.run_dbt(settings, "run", *SELECTION, "--full-refresh")
    after = {table: fingerprint(spark.table(f"sparkify.{table}")) for table in TABLES}
    assert not any(before[table] == after[table] for table in TABLES)
    for kill in (True, True, True, False):
        dbt_run(kill=kill, whole=(before, after))
    assert state() == after
