"""dbt, called in this process, so that it shares the Spark session."""

import json
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import resource_tracker
from typing import TYPE_CHECKING
from urllib.parse import unquote

from sparkify.errors import (
    DISK_FULL,
    NO_SPACE,
    SERVER_GONE,
    BadInput,
    CheckFailed,
    SparkifyError,
    first_line,
    run_again,
)
from sparkify.events import find_files, find_forms, local_path, size_of, uri_of
from sparkify.formatting import digits, plural
from sparkify.remote import ENDING, has_remote
from sparkify.settings import Settings, written

if TYPE_CHECKING:
    from dbt.cli.main import dbtRunnerResult

Say = Callable[[str], None]
# dbt hands what stands under this name on to macros, without parsing the project anew.
EVENTS = "DBT_ENV_CUSTOM_ENV_SPARKIFY_EVENTS"
# Of a result of dbt.
BAD = ("error", "fail", "runtime error")
UNREADABLE = re.compile(r"Encountered error while reading file (\S+?)\.(?:\s|$)")
# What clients of Thrift and of Connect say of a server that is gone.
OUT_OF_REACH = re.compile(
    r"TSocket read 0 bytes|Could not connect to any of|Connection (reset|refused)|Broken pipe|"
    rf"UNAVAILABLE|StatusCode\.CANCELLED|{ENDING}"
)


@dataclass(frozen=True)
class BuildResult:
    """What a `dbt build` did: tables built and tests passed."""

    model_count: int
    test_count: int


def register_events(settings: Settings, events: str) -> None:
    """Point the sources `raw.*` at a file, a folder or a URI, and build nothing.

    Raises:
        BadInput: nothing is there, or a file is not what its name says.
    """
    arguments = json.dumps(described(settings, events))
    run_dbt(settings, "run-operation", "register_events", "--args", arguments)


def build(
    settings: Settings, *selection: str, events: str | None = None, say: Say = lambda step: None
) -> BuildResult:
    """Build and test the models that the dbt arguments `selection` name; all without any.

    `events`: a file, a folder or a URI to be registered first; without, those registered last.

    Raises:
        BadInput: there are no events, or a file cannot be read.
        CheckFailed: a test failed; what does not depend on it is built.
        SparkifyError: a model failed.
    """
    # dbt starts it otherwise, and no program starts where a variable is as long as a list of files.
    resource_tracker.ensure_running()
    if events is not None:
        os.environ[EVENTS] = json.dumps(described(settings, events))
    try:
        arguments = ("build", "--exclude-resource-type", "unit_test", *selection)
        result = run_dbt(settings, *arguments, say=say)
    finally:
        os.environ.pop(EVENTS, None)
    nodes = result.result.results
    kinds = [node.node.resource_type for node in nodes if node.status != "warn"]
    return BuildResult(model_count=kinds.count("model"), test_count=kinds.count("test"))


def parse(settings: Settings) -> None:
    """Import dbt and let it parse the project, which the next command finds done then."""
    run_dbt(settings, "parse")


def described(settings: Settings, events: str) -> dict:
    """The arguments of the macro `register_events`: where events lie and what the files are."""
    path = local_path(events)
    if path is None:
        return {"path": events}
    all_parquet = settings.variables["events_format"] == "parquet"
    found = find_files(path)
    count = sum(size_of(file) > 0 for file in found.files)
    forms = [
        {
            "sample": str(form.sample),
            "nanoseconds": form.nanoseconds,
            "files": [uri_of(file) for file in form.listed],
        }
        for form in find_forms(found.files, all_parquet=all_parquet)
    ]
    return {"path": str(found.path), "forms": forms, "count": count}


def run_dbt(settings: Settings, *arguments: str, say: Say | None = None) -> "dbtRunnerResult":
    """Run a dbt command quietly; what is begun, model or test, goes to `say`."""
    # Importing dbt takes seconds that a command without it need not spend.
    from dbt.cli.main import dbtRunner
    from dbt_common.events.functions import reset_metadata_vars

    settings.export()
    reset_metadata_vars()
    errors = []

    def tell(event) -> None:
        if event.info.name == "RunningOperationCaughtError":
            errors.append(event.data.exc)
        if say and event.info.name == "LogStartLine":
            place = f"{event.data.index} of {event.data.total}"
            say(f"{place}, {event.data.node_info.node_name}")

    runner = dbtRunner(callbacks=[tell])
    result = runner.invoke(
        [
            "--quiet",
            "--log-level",
            "none",
            "--log-level-file",
            "info",
            *arguments,
            *(("--vars", written(settings.overrides)) if settings.overrides else ()),
            "--target",
            settings.target,
        ]
    )
    if errors:
        raise broken_off(errors[0])
    if not result.success:
        raise_failure(settings, result)
    return result


def raise_failure(settings: Settings, result: "dbtRunnerResult") -> None:
    """Turn what dbt reports into one line: the failed nodes and their messages."""
    if result.exception is not None:
        raise broken_off(str(result.exception)) from result.exception
    bad = [node for node in getattr(result.result, "results", []) if node.status in BAD]
    failed = [node for node in bad if node.status == "fail"]
    names = [name_of(node) for node in failed]
    is_empty = any(name.startswith("holds_events") for name in names)
    if is_empty and not any(name.startswith("rejected_share") for name in names):
        share = float(settings.variables["user_share"])
        kept = f", and is among the share of {digits(share, 6)} of all users" if share < 1 else ""
        raise BadInput(f"there are no events: no file holds a row of a user who is logged in{kept}")
    unreadable = [found for node in bad if (found := UNREADABLE.search(node.message or ""))]
    if unreadable:
        raise BadInput(
            f"{unquote(unreadable[0][1])} cannot be read: {cause(bad[0].message)}; "
            "mend it, or take it away"
        )
    if any(NO_SPACE in (node.message or "") for node in bad):
        disks = " or ".join(map(str, settings.disks))
        raise BadInput(DISK_FULL.format(disks, run_again()))
    if any(is_out_of_reach(node.message or "") for node in bad):
        raise BadInput(SERVER_GONE)
    words = "; ".join(f"{name_of(node)}: {reason(settings, node)}" for node in bad)
    if failed:
        raise CheckFailed(f"{plural(len(failed), 'data test')} failed: {words}")
    raise SparkifyError(f"dbt could not finish: {words}")


def broken_off(message: str) -> BadInput:
    """What ended dbt as a whole, before or after its nodes."""
    return BadInput(SERVER_GONE if is_out_of_reach(message) else first_line(message))


def is_out_of_reach(message: str) -> bool:
    """Whether a message of a client's is that its server is gone."""
    return has_remote() and OUT_OF_REACH.search(message) is not None


def cause(message: str) -> str:
    """The innermost reason in a trace of Spark's."""
    causes = re.findall(r"Caused by: (?:[\w.$]+: )?(.*)", message)
    return causes[-1] if causes else first_line(message)


def reason(settings: Settings, node) -> str:
    """What a failed node says, and of the limits on what is wrong how to see it."""
    if name_of(node).startswith("rejected_share"):
        return (
            "more rows are rejected than max_rejected_share allows, so the marts stay as they"
            ' were; `sparkify sql "select rejection_reason, raw_row from'
            f" {settings.table('base_sparkify__rows')} where rejection_reason"
            " not in ('anonymous', 'erased', 'other_user')"
            ' limit 10"` shows some'
        )
    if name_of(node).startswith("nulled_share"):
        return (
            "a field has more values that cannot be than max_nulled_share allows, so the marts"
            ' stay as they were; `sparkify sql "select nulled_fields, count(*) from'
            f" {settings.table('base_sparkify__rows')} where nulled_fields is not null group by 1"
            ' order by 2 desc"` counts them'
        )
    return first_line(node.message or "")


def name_of(result) -> str:
    """What a result is of; that of an operation has a unique id only."""
    return result.node.name if hasattr(result, "node") else result.unique_id.split(".")[-1]
