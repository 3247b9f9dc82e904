"""dbt, called in this process, so that it shares the Spark session."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from dbt.artifacts.schemas.results import NodeStatus
from dbt.cli.main import dbtRunner, dbtRunnerResult

from sparkify.errors import BadInput, CheckFailed, SparkifyError
from sparkify.settings import Settings

Say = Callable[[str], None]
HEADING = re.compile(
    r"[A-Z]\w+ Error( in .*)?$|An error occurred while calling|Encountered an error"
)


@dataclass(frozen=True)
class BuildResult:
    """What a `dbt build` did: tables built and tests passed."""

    model_count: int
    test_count: int


def register_events(settings: Settings, events: str) -> None:
    """Point the sources `raw.events` and `raw.files` at a file or folder.

    Files that end with .parquet are read as Parquet, all others as JSON.

    Raises:
        BadInput: nothing is there, or it holds no file.
    """
    arguments = {"path": events}
    if "://" not in events:
        path = check_path(Path(events))
        arguments["path"] = str(path)
        if any(file.suffix == ".parquet" for file in (path, *path.rglob("*.parquet"))):
            arguments["format"] = "parquet"
    elif events.rstrip("/").endswith(".parquet"):
        arguments["format"] = "parquet"
    run_dbt(settings, "run-operation", "register_events", "--args", json.dumps(arguments))


def check_path(path: Path) -> Path:
    """The absolute path of a file or of a folder with at least one file.

    Files whose names begin with `.` or `_` do not count: Spark passes over them.
    """
    if not path.exists():
        raise BadInput(f"no events at {path}: there is no such file or folder")
    if path.is_dir() and not any(
        file.is_file() and not file.name.startswith((".", "_")) for file in path.rglob("*")
    ):
        raise BadInput(f"no events at {path}: the folder holds no files")
    return path.resolve()


def build(settings: Settings, *selection: str, say: Say) -> BuildResult:
    """Build and test the models that the dbt arguments `selection` name; all without any.

    Raises:
        CheckFailed: a test failed; what does not depend on it is built.
        SparkifyError: a model failed.
    """
    result = run_dbt(settings, "build", "--exclude-resource-type", "unit_test", *selection, say=say)
    kinds = [node.node.resource_type for node in result.result.results]
    return BuildResult(model_count=kinds.count("model"), test_count=kinds.count("test"))


def run_dbt(settings: Settings, *arguments: str, say: Say | None = None) -> dbtRunnerResult:
    """Run a dbt command quietly; one line a finished model goes to `say`."""
    settings.export()

    errors = []

    def tell(event) -> None:
        if event.info.name == "RunningOperationCaughtError":
            errors.append(event.data.exc)
        if say and event.info.name == "LogModelResult":
            say(f"{event.data.node_info.node_name}  {event.data.execution_time:.1f} s")

    runner = dbtRunner(callbacks=[tell])
    result = runner.invoke(
        [
            "--quiet",
            "--log-level",
            "none",
            "--log-level-file",
            "info",
            *arguments,
            "--target",
            settings.target,
        ]
    )
    if errors:
        raise BadInput(first_line(errors[0]))
    if not result.success:
        raise_failure(result)
    return result


def raise_failure(result: dbtRunnerResult) -> None:
    """Turn what dbt reports into one line: the failed nodes and their messages."""
    if result.exception is not None:
        raise BadInput(first_line(str(result.exception))) from result.exception
    bad = [
        node
        for node in getattr(result.result, "results", [])
        if node.status in (NodeStatus.Error, NodeStatus.Fail, NodeStatus.RuntimeErr)
    ]
    if any(name_of(node).startswith("holds_events") for node in bad):
        raise BadInput("there are no events: no file holds a row of a user who is logged in")
    words = "; ".join(f"{name_of(node)}: {reason(node)}" for node in bad)
    if any(node.status == NodeStatus.Fail for node in bad):
        raise CheckFailed(f"{len(bad)} data tests failed: {words}")
    raise SparkifyError(f"dbt could not finish: {words}")


def reason(node) -> str:
    """What a failed node says, and of the limit on rejected rows what to do."""
    if name_of(node).startswith("rejected_share"):
        return (
            "more rows are rejected than max_rejected_share allows, so the marts stay as they"
            ' were; sparkify sql "select rejection_reason, raw_row from '
            'sparkify.stg_sparkify__rejected_events limit 10" shows some'
        )
    return first_line(node.message or "")


def name_of(result) -> str:
    """What a result is of; that of an operation has a unique id only."""
    return result.node.name if hasattr(result, "node") else result.unique_id.split(".")[-1]


def first_line(message: str) -> str:
    """The first line that says something: dbt and Py4J put headings above, Spark traces below."""
    lines = [line.strip(" :") for line in message.splitlines()]
    said = [line for line in lines if line and not HEADING.match(line)]
    return said[0] if said else "no reason was given"
