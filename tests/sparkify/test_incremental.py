"""A run rewrites only what changed, and one that is killed leaves whole tables."""

import os
import random
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
from jinja2 import Environment

from sparkify import transform
from tests.sparkify.tables import TABLES, defined, fingerprint, fingerprints, last_write

pytestmark = pytest.mark.long

PROJECT = Path(__file__).parents[2]
SELECTION = ("--exclude", "path:models/marts/retention")
# What `sparkify build` does before its tests; each line that comes in is one more run.
RUN = f"""
import sys
from dbt.cli.main import dbtRunner
from sparkify import transform
from sparkify.settings import Settings
for events in sys.stdin:
    if events.strip():
        transform.register_events(Settings.from_environment(), events.strip())
    if not dbtRunner().invoke(["--no-use-colors", "run", *{SELECTION!r}]).success:
        sys.exit(1)
    print("END OF RUN", flush=True)
"""


def write(file: Path, lines: list[str]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join(lines) + "\n")


def test_one_more_day_rewrites_what_it_changes_alone(spark, settings, simulated_days, tmp_path):
    def rewritten(table: str) -> list[str]:
        """The dates that the last write replaced; none where it only added some."""
        predicate = last_write(spark, table).operationParameters.get("predicate", "")
        return sorted(re.findall(r"\d{4}-\d\d-\d\d", predicate))

    saturday, sunday = "2018-11-10", "2018-11-11"
    for date, lines in simulated_days.items():
        if "2018-10-22" <= date < sunday:
            write(tmp_path / f"{date}.json", lines)
    transform.register_events(settings, str(tmp_path))
    transform.run_dbt(settings, "run", *SELECTION)
    write(tmp_path / "more.json", simulated_days[sunday])
    transform.run_dbt(settings, "run", *SELECTION)
    # What is new to a table is only added to it.
    for table in ("base_sparkify__rows", "int_sparkify__session_days", "fct_user_days"):
        assert last_write(spark, table).operationParameters["mode"] == "Append"
    added = spark.table("sparkify.base_sparkify__rows").where("source_file like '%more.json'")
    assert added.count() == len(simulated_days[sunday])
    # A session may have begun the evening before.
    assert {*rewritten("fct_sessions")} <= {saturday, sunday}
    # One date's label is known now, and one date is new; those between wait for their label.
    assert rewritten("fct_user_snapshots") == ["2018-10-29", "2018-11-12"]
    # What was read for them are the days in their windows, and those that their versions are of.
    (file,) = (settings.home / "dbt" / "run").rglob("fct_user_snapshots.sql")
    statement = " ".join(file.read_text().split())
    read = (
        "activity_date between date_add(date'2018-10-29', -28) and date_add(date'2018-11-12', -1)"
    )
    assert read in statement and "/* within" not in statement


@pytest.mark.slow
def test_more_files_than_one_statement_may_name_are_replaced_in_several(
    spark, settings, simulated_days, tmp_path
):
    lines = simulated_days["2018-10-01"]
    for number in range(501):
        write(tmp_path / f"{number}.json", lines[:1])
    run = ("run", "--select", "+base_sparkify__rows")
    transform.register_events(settings, str(tmp_path))
    transform.run_dbt(settings, *run)
    before = last_write(spark, "base_sparkify__rows").version
    for number in range(501):
        write(tmp_path / f"{number}.json", lines[:2])
    transform.run_dbt(settings, *run)
    assert last_write(spark, "base_sparkify__rows").version == before + 2
    assert spark.table("sparkify.base_sparkify__rows").count() == 2 * 501
    for table in ("base_sparkify__line_counts", "base_sparkify__rows"):
        found = fingerprint(spark.table(f"sparkify.{table}"))
        assert found == defined(spark, table)


@pytest.mark.slow
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

    def begin() -> subprocess.Popen:
        return subprocess.Popen(
            [sys.executable, "-c", RUN],
            cwd=PROJECT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def dbt_run(
        process: subprocess.Popen,
        events: str = "",
        *,
        kill: bool = False,
        whole: tuple[dict[str, tuple], ...] = (),
    ) -> None:
        """Run; what a reader sees meanwhile and after a kill is one of the `whole` states."""
        print(events, file=process.stdin, flush=True)
        started = 0
        last = chance.randint(2, 11)
        for line in process.stdout:
            if line == "END OF RUN\n":
                break
            begins = "START sql" in line
            started += begins
            if begins and whole and started == 5:
                assert_whole(whole)
            if kill and started >= last:
                # At some moment of the model that has just begun.
                threading.Event().wait(chance.uniform(0, 3))
                os.killpg(process.pid, signal.SIGKILL)
                break
        else:
            raise AssertionError(f"the run ended with {process.wait()}")
        if kill:
            assert process.wait(timeout=300) == -signal.SIGKILL
            assert_whole(whole)

    def assert_whole(whole: tuple[dict[str, tuple], ...]) -> None:
        seen = state()
        for table in TABLES:
            assert seen[table] in [each[table] for each in whole], table

    for date in dates[:10]:
        write(folder / f"{date}.json", days[date])
    process = begin()
    dbt_run(process, str(folder))
    before = state()
    write(folder / "late.json", days[dates[3]] + days[dates[12]])
    (folder / f"{dates[1]}.json").unlink()
    transform.register_events(settings, str(folder))
    transform.run_dbt(settings, "run", *SELECTION, "--full-refresh")
    after = fingerprints(spark)
    # No value of these events is impossible, before or after.
    changed = [table for table in TABLES if table != "stg_sparkify__nulled_values"]
    assert not any(before[table] == after[table] for table in changed)
    for kill in (True, False):
        dbt_run(process, kill=kill, whole=(before, after))
        process = begin() if kill else process
    assert state() == after
    process.stdin.close()
    assert process.wait(timeout=60) == 0


def test_who_is_erased_and_where_the_key_is_found_are_no_part_of_a_definition():
    definitions = []
    for target in ("local", "thrift"):
        macros = Environment(extensions=["jinja2.ext.do"])
        macros.globals |= {"return": definitions.append, "modules": SimpleNamespace(re=re)}
        macros.globals["target"] = {"name": target}
        for file in ("user_key.sql", "keyed_user.sql", "materializations/code_tokens.sql"):
            module = macros.from_string((PROJECT / "macros" / file).read_text()).module
            macros.globals[Path(file).stem] = getattr(module, Path(file).stem)
        keyed = macros.globals["keyed_user"]("id")
        for erased in ("false", f"(sha2({keyed}, 256) in ('9d4e'))"):
            assert "\n" in keyed
            code = f"select {keyed}, /* erased */ {erased} /* end of erased */ as is_erased"
            macros.globals["code_tokens"](code)
    assert len(definitions) == 4 and len({*definitions}) == 1
