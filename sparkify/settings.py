"""Where a run keeps its things, read once from the environment."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import yaml

PROJECT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Settings:
    """Paths are absolute; `target` names an output of profiles/profiles.yml.

    overrides: dbt vars of this call (`--vars`), by name.
    """

    home: Path
    jars: Path
    target: str
    overrides: Mapping[str, object] = field(default_factory=dict)

    @classmethod
    def from_environment(
        cls, *, target: str | None = None, overrides: Mapping[str, object] | None = None
    ) -> "Settings":
        """Read SPARKIFY_HOME, SPARKIFY_JARS and SPARKIFY_TARGET."""
        return cls(
            overrides=overrides or {},
            home=Path(os.environ.get("SPARKIFY_HOME", PROJECT / ".sparkify")).absolute(),
            jars=Path(
                os.environ.get("SPARKIFY_JARS", Path(sys.prefix) / "share/sparkify/jars")
            ).absolute(),
            target=target or os.environ.get("SPARKIFY_TARGET", "local"),
        )

    def export(self) -> None:
        """Make the profile resolve to the same places, whatever the working folder."""
        os.environ["SPARKIFY_HOME"] = str(self.home)
        os.environ["SPARKIFY_JARS"] = str(self.jars)
        os.environ["SPARKIFY_TARGET"] = self.target
        os.environ.setdefault("DBT_PROFILES_DIR", str(PROJECT / "profiles"))
        os.environ.setdefault("DBT_PROJECT_DIR", str(PROJECT))
        os.environ.setdefault("DBT_TARGET_PATH", str(self.home / "dbt"))
        os.environ.setdefault("DBT_LOG_PATH", str(self.home / "dbt" / "logs"))
        # Without it Spark's Python workers are whatever `python3` the path finds first.
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
        # Only this machine reads its own metrics.
        os.environ.setdefault("DO_NOT_TRACK", "1")
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        # Python's janitor of what processes share says so when one leaves without tidying up.
        quiet = "ignore:resource_tracker"
        given = os.environ.get("PYTHONWARNINGS", quiet)
        os.environ["PYTHONWARNINGS"] = given if quiet in given else f"{given},{quiet}"

    @property
    def command(self) -> str:
        """What a command that a message names begins with, so that it finds the same tables."""
        return "sparkify" if self.target == "local" else f"sparkify --target {self.target}"

    @cached_property
    def variables(self) -> Mapping[str, object]:
        """The vars of the project, as SQL uses them."""
        project = yaml.safe_load((PROJECT / "dbt_project.yml").read_text())
        return project["vars"] | self.overrides

    @property
    def metastore(self) -> Path:
        """The folder of the embedded Derby metastore."""
        return self.home / ("parquet/metastore" if self.target == "parquet" else "metastore")

    @property
    def table_format(self) -> str:
        """The format of the tables that `ml` and dbt write."""
        return "parquet" if self.target == "parquet" else "delta"

    @property
    def tracking_uri(self) -> str:
        """The MLflow store, in SQLite."""
        return f"sqlite:///{self.home / 'mlflow' / 'mlflow.db'}"
