"""Whatever happened before it, a plain run leaves what a full refresh leaves."""

import re
from textwrap import dedent, indent

import pytest

from sparkify import transform
from sparkify.errors import SparkifyError
from sparkify.settings import PROJECT
from tests.sparkify.tables import (
    INCREMENTAL,
    TABLES,
    defined,
    fingerprint,
    fingerprints,
    last_write,
)
from tests.sparkify.walking import SELECTION, Walk

SEQUENCES = 12
# How what happened begins, in any twelve sequences that are worth the name.
KINDS = (
    *("added", "grown", "shrunk", "removed", "late", "doubled", "restored", "touched"),
    *("run --select", "run --exclude", "killed", "edited macros", "edited models"),
    *("vars {'churn_definition'", "vars {'horizon_days'", "vars {}"),
)


@pytest.fixture
def begun(settings, simulated_days, tmp_path, monkeypatch) -> Walk:
    """A log that is registered, and a copy of the project to change; nothing is built."""
    found = Walk(settings, tmp_path, simulated_days)
    monkeypatch.setenv("DBT_PROJECT_DIR", str(found.project))
    # What dbt has parsed of the copy is not to be taken for what stands in the project.
    monkeypatch.setenv("DBT_TARGET_PATH", str(tmp_path / "dbt"))
    transform.register_events(settings, str(found.folder))
    return found


@pytest.fixture
def walk(begun) -> Walk:
    begun.run(*SELECTION)
    return begun


def check_tables(spark, told: list[str]) -> None:
    for table in TABLES:
        found = fingerprint(spark.table(f"sparkify.{table}"))
        assert found == defined(spark, table), f"{table} after {told}"


def check_comments(spark, walk) -> None:
    """A comment or a blank makes no table anew."""
    before = {table: last_write(spark, table).version for table in INCREMENTAL}
    walk.comment()
    walk.run(*SELECTION)
    assert {table: last_write(spark, table).version for table in INCREMENTAL} == before


@pytest.mark.long
def test_another_definition_makes_its_tables_anew_and_a_comment_none(spark, walk):
    """Of a macro that another table owns, and of a model."""
    changed = ("fct_sessions", "fct_user_snapshots")
    before = {table: last_write(spark, table).version for table in (*changed, "fct_user_days")}
    told = [walk.edit("macros/first_churns.sql"), walk.edit("models/marts/core/fct_sessions.sql")]
    walk.run(*SELECTION)
    check_tables(spark, told)
    after = {table: last_write(spark, table).version for table in before}
    assert {table for table in before if after[table] != before[table]} == {*changed}
    check_comments(spark, walk)
    # A parent that could change without a trace.
    model = walk.project / "models/marts/features/dim_snapshot_dates.sql"
    model.write_text("{{ config(materialized='table') }}\n" + model.read_text())
    with pytest.raises(SparkifyError, match="reads dim_snapshot_dates, a table without a fing"):
        walk.run("--select", "fct_user_snapshots")


@pytest.mark.slow
def test_a_feature_is_added_as_it_is_written_down_how(spark, begun):
    """By the words of CONTRIBUTING, in two files; the third is the oracle."""
    guide = (PROJECT / "CONTRIBUTING.md").read_text()
    (block,) = re.findall(r"```yaml\n( *- &about_count_28d\n.*?)\n *```", guide, flags=re.S)
    described, next_one = indent(dedent(block), " " * 6), "error_count_28d\n"
    yml = "models/marts/features/_features.yml"
    for name, old, new in (
        ("macros/user_features.sql", "'home_count', ", "'home_count', 'about_count', "),
        (yml, f"      - &{next_one}", f"{described}\n      - &{next_one}"),
        (yml, f"      - *{next_one}", f"      - *about_count_28d\n      - *{next_one}"),
    ):
        text = (begun.project / name).read_text()
        assert text.count(old) == 1, (name, old)
        (begun.project / name).write_text(text.replace(old, new))
    begun.run("--select", "+fct_user_snapshots", "+fct_user_features")
    for table in ("fct_user_snapshots", "fct_user_features"):
        assert spark.table(f"sparkify.{table}").agg({"about_count_28d": "sum"}).first()[0] > 0


@pytest.mark.slow
def test_after_any_sequence_a_plain_run_leaves_what_a_full_refresh_leaves(spark, walk):
    happened = []
    for number in range(SEQUENCES):
        told = walk.sequence(number)
        walk.run(*SELECTION)
        check_tables(spark, told)
        happened += told
    assert [kind for kind in KINDS if not any(each.startswith(kind) for each in happened)] == []
    check_comments(spark, walk)
    found = fingerprints(spark)
    walk.run(*SELECTION, "--full-refresh")
    assert fingerprints(spark) == found
