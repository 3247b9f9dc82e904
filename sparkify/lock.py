"""One run at a time on a server, or in a metastore that several share."""

from collections.abc import Iterator
from contextlib import contextmanager

from sparkify import transform
from sparkify.remote import has_remote
from sparkify.settings import Settings


def is_shared(settings: Settings) -> bool:
    """Whether others may work on the same tables, as the macro of this name has it."""
    return has_remote() or bool(settings.metastore_url)


@contextmanager
def run_held(settings: Settings) -> Iterator[None]:
    """Keep runs of others away, as while files go; a metastore of this process alone does so."""
    if not is_shared(settings):
        yield
        return
    transform.run_dbt(settings, "run-operation", "begin_run")
    try:
        yield
    finally:
        transform.run_dbt(settings, "run-operation", "end_run")
