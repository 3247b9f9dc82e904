"""One run at a time on a server, or in a metastore that several share."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from sparkify import transform
from sparkify.errors import BadInput
from sparkify.remote import has_remote
from sparkify.settings import Settings

# How the macro begin_run refuses, and how often it is asked again, in seconds.
HELD, PAUSE_S = "another run is under way", 5


def is_shared(settings: Settings) -> bool:
    """Whether others may work on the same tables, as the macro of this name has it."""
    return has_remote() or bool(settings.metastore_url)


@contextmanager
def run_held(settings: Settings, *, patience_s: float = 0) -> Iterator[None]:
    """Keep runs of others away, as while files go; a metastore of this process alone does so.

    patience_s: how long to wait for a run of somebody else, in seconds.

    Raises:
        BadInput: it goes on.
    """
    if not is_shared(settings):
        yield
        return
    until = time.monotonic() + patience_s
    while True:
        try:
            transform.run_dbt(settings, "run-operation", "begin_run")
            break
        except BadInput as refusal:
            if HELD not in str(refusal) or time.monotonic() >= until:
                raise
            time.sleep(PAUSE_S)
    try:
        yield
    finally:
        transform.run_dbt(settings, "run-operation", "end_run")
