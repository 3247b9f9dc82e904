"""What an error that ends a command is called, and the exit code that it ends with."""

import os
import subprocess
import sys
from contextlib import suppress

from ml.errors import FilesGone, NotTrainable, TableMismatch, UnknownVersion
from sparkify.errors import (
    DISK_FULL,
    JAVA_GONE,
    METASTORE_IN_USE,
    NO_SPACE,
    SERVER_GONE,
    BadInput,
    CheckFailed,
    SparkifyError,
    WrongUse,
    run_again,
)
from sparkify.remote import is_gone
from sparkify.settings import Settings, addressed, command_for

# The exit codes of errors of `ml`.
CODES = {
    NotTrainable: 5,
    TableMismatch: BadInput.exit_code,
    FilesGone: BadInput.exit_code,
    UnknownVersion: WrongUse.exit_code,
}


def exit_code(error: Exception) -> int:
    """The code of an error; 1 is for what nobody thought of."""
    if is_disk_full(error) or java_has_ended(error):
        return BadInput.exit_code
    if isinstance(error, SparkifyError):
        return error.exit_code
    if is_metastore_in_use(error):
        return WrongUse.exit_code
    return BadInput.exit_code if is_gone(error) else CODES.get(type(error), 1)


def in_words(error: Exception, *, target: str | None = None, overrides: str = "") -> str:
    """The line that an error is printed as; the commands in it are for the same target.

    target, overrides: --target and --vars, as they were given.
    """
    target = target or os.environ.get("SPARKIFY_TARGET", "local")
    if is_disk_full(error):
        disks = Settings.from_environment(target=target, overrides={}).disks
        return DISK_FULL.format(" or ".join(map(str, disks)), run_again())
    if java_has_ended(error):
        logs = Settings.from_environment(target=target, overrides={}).logs
        return JAVA_GONE.format(logs / "spark.log", run_again())
    of_ml = NotTrainable | TableMismatch | FilesGone | UnknownVersion
    is_told = isinstance(error, SparkifyError | of_ml)
    told = addressed(str(error), command_for(target, overrides))
    if is_told and exit_code(error) > 1 and not isinstance(error, CheckFailed):
        return told
    # Not before: settings that cannot be read are an error that is told.
    logs = Settings.from_environment(target=target, overrides={}).logs
    if is_told:
        return f"{told} (logs: {logs})"
    if is_metastore_in_use(error):
        return METASTORE_IN_USE.format(
            Settings.from_environment(target=target, overrides={}).metastore
        )
    if is_gone(error):
        return SERVER_GONE
    first = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {first[0]} (sparkify --debug shows where; logs: {logs})"


def is_disk_full(error: Exception) -> bool:
    """Whether Python, Java or dbt found no space to write to: some of Java's errors do not say."""
    is_ours = isinstance(error, (SparkifyError, *CODES))
    is_of_java = not is_ours or "java.lang." in str(error)
    return NO_SPACE in str(error) or (
        is_of_java and Settings.from_environment(overrides={}).has_full_disk
    )


def java_has_ended(error: Exception) -> bool:
    """Whether the Java that this process started is gone, which is why whatever failed did."""
    context = getattr(sys.modules.get("pyspark"), "SparkContext", None)
    process = getattr(getattr(context, "_gateway", None), "proc", None)
    if process is None:
        return False
    if isinstance(error, ConnectionError) or type(error).__name__.startswith("Py4J"):
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=1)
    return process.poll() is not None


def is_metastore_in_use(error: Exception) -> bool:
    """Whether two processes opened the metastore at the same moment, and this one came second."""
    return "Another instance of Derby" in str(error)
