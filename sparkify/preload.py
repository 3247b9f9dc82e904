"""What later stages need, made while Spark is busy."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from threading import Thread

from sparkify.registered import registry
from sparkify.settings import Settings

# Their imports take seconds: checks, models, plots, page and notebook.
MODULES = (
    *("expectations.run", "ml.training", "ml.plots", "ml.leaky"),
    *("sparkify.report.page", "sparkify.report.data", "sparkify.report.notebook"),
)


@contextmanager
def beside(work: Callable[[], object]) -> Iterator[None]:
    """Do some work beside the block, and wait for it at the end, unless the block fails.

    What fails here fails again in the stage that needs it, and is told there.
    """

    def unless_it_fails() -> None:
        with suppress(Exception):
            work()

    thread = Thread(target=unless_it_fails, daemon=True)
    thread.start()
    yield
    thread.join()


def load(settings: Settings) -> None:
    """Import `MODULES`, and make the model store."""
    for name in MODULES:
        import_module(name)
    registry(settings, settings.model).versions()
