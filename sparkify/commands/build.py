"""What `sparkify build` does: the tables, their tests and the expectations."""

from dataclasses import asdict, dataclass

from pyspark.sql import SparkSession

from sparkify import transform, unchanged
from sparkify.settings import Settings
from sparkify.stages import check_tables, open_stage
from sparkify.summary import show_data, told_of_data
from sparkify.terminal import line, stage


@dataclass(frozen=True)
class Checked:
    """How many checks of each kind the tables passed."""

    tests: int
    expectations: int


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
