"""Errors that end a command with one line and an exit code of their own."""

import errno
import os
import re


class SparkifyError(Exception):
    """A failure a user can mend; the message names the cause and the remedy."""

    exit_code = 1


class WrongUse(SparkifyError):
    """The arguments do not make sense together."""

    exit_code = 2


class BadInput(SparkifyError):
    """What was given or is needed is missing or unreadable."""

    exit_code = 3


class CheckFailed(SparkifyError):
    """The data does not pass its checks."""

    exit_code = 4


METASTORE_IN_USE = (
    "another process uses the metastore in {}, which admits one: wait until it ends; if it is "
    "`sparkify serve`, be its client: SPARKIFY_TARGET=thrift"
)
SERVER_GONE = (
    "the Spark server has ended or is out of reach; no table is half written: start it "
    "again with `sparkify serve` and run the same command again"
)
JAVA_GONE = (
    "Java has ended, killed or out of memory (log: {}; SPARKIFY_DRIVER_MEMORY gives it more); {}"
)
# What dbt and Py4J put above what they have to say.
HEADING = re.compile(
    r"[A-Z]\w+ Error( in .*)?$|An error occurred while calling|Encountered an error"
)
# As Python and Java have it.
NO_SPACE = os.strerror(errno.ENOSPC)
DISK_FULL = "the disk is full: free some space on that of {}; {}"


def run_again() -> str:
    """The remedy of a command that came to no end; plain Parquet is not replaced in one step."""
    is_whole = os.environ.get("SPARKIFY_TARGET") != "parquet"
    return ("no table is half written: " if is_whole else "") + "run the same command again"


def first_line(message: str) -> str:
    """The first line that says something: dbt and Py4J put headings above, Spark traces below."""
    lines = [line.strip(" :") for line in message.splitlines()]
    said = [line for line in lines if line and not HEADING.match(line)]
    return said[0] if said else "no reason was given"
