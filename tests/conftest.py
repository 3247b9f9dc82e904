"""One Spark session and one home for the whole suite."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from sparkify import ledger, transform
from sparkify.commands.run import run_all
from sparkify.engine import SMALL, TINY
from sparkify.session import open_session
from sparkify.settings import Settings
from sparkify.simulator import simulate

# A file runs in one process. What takes longest begins first, so that none is left with it alone.
LONGEST = (
    *("test_run", "test_replay", "test_weeks", "test_own_table", "test_incremental"),
    *("test_oracle", "test_inputs", "test_staging", "test_leakage"),
    *("test_commands", "test_cluster", "test_targets", "test_metastore", "test_s3", "test_gate"),
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    order = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: order.get(item.path.stem, len(order)))


@pytest.fixture(scope="session")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A home of the suite's own, so that no run of the user's is touched.

    Spark hides what it takes for a secret by its name.
    """
    os.environ["SPARKIFY_HOME"] = str(tmp_path_factory.mktemp("home_of_tokens"))
    os.environ.pop("SPARKIFY_TARGET", None)
    os.environ.pop("SPARKIFY_WAREHOUSE", None)
    # As `sparkify` does with a tiny log.
    os.environ["SPARKIFY_CODEGEN"] = "NO_CODEGEN"
    found = Settings.from_environment()
    found.export()
    return found


@pytest.fixture(scope="session")
def spark(settings: Settings) -> SparkSession:
    # It lives as long as the suite, so that Java's better code pays; what tests start does not.
    os.environ["SPARKIFY_JAVA_OPTIONS"] = ""
    session = open_session(settings, shared=True)
    os.environ["SPARKIFY_JAVA_OPTIONS"] = TINY["SPARKIFY_JAVA_OPTIONS"]
    return session


@pytest.fixture(scope="session")
def finished_run(spark: SparkSession, settings: Settings) -> Settings:
    """What `make run` leaves behind: 225 simulated users, built, checked, scored, reported."""
    # As `sparkify` does with a log of this size.
    os.environ |= SMALL
    found = run_all(settings, events=None, users=225, seed=42)
    os.environ |= TINY
    (settings.home / "summary.json").write_text(json.dumps(found, allow_nan=False))
    # What tests do later is another run.
    ledger.begin_run()
    return settings


@pytest.fixture(scope="session")
def build(spark: SparkSession, settings: Settings) -> Callable[..., None]:
    """A function that builds models (all without a selection) from a file or folder of events."""

    def build_from(events: Path, *selection: str) -> None:
        transform.build(settings, *selection, events=str(events))

    return build_from


def folder_of(setting: str) -> Path:
    """The folder that a setting names; without it a test is skipped."""
    folder = os.environ.get(setting)
    if not folder:
        pytest.skip(f"{setting} is not set: no such data to test on")
    return Path(folder)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real pieces of the log."""
    return folder_of("SPARKIFY_REAL_DATA")


@pytest.fixture(scope="session")
def cases() -> Path:
    """The folder of small inputs after bug reports."""
    return folder_of("SPARKIFY_CASES")


@pytest.fixture(scope="session")
def simulated_days(spark: SparkSession, tmp_path_factory) -> dict[str, list[str]]:
    """The lines of a log of 12 users by the day they happened."""
    out = tmp_path_factory.mktemp("simulated") / "log"
    simulate(spark, users=12, seed=3, out=out)
    return {
        folder.name.removeprefix("date="): [
            line for file in folder.glob("*.json") for line in file.read_text().splitlines()
        ]
        for folder in sorted((out / "events").iterdir())
    }
