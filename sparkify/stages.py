"""The stages that several commands begin or end with."""

from pathlib import Path

from sparkify import ledger, transform
from sparkify.pipeline import RETENTION
from sparkify.session import open_session
from sparkify.settings import Settings
from sparkify.terminal import stage


def open_stage(settings: Settings, *, events: str | None = None, shared: bool = False):
    """Start Spark, once it is clear that there is something to read."""
    if events is not None and "://" not in events:
        transform.check_path(Path(events))
    ledger.begin_run()
    with stage("Starting Spark"):
        return open_session(settings, shared=shared)


def retention_stage(settings: Settings) -> None:
    """Build what lies on top of what `ml` wrote."""
    with stage("Building the retention marts") as say:
        transform.build(settings, "--select", RETENTION, say=say)
