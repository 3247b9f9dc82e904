"""What later stages need, loaded while Spark is busy."""

from collections.abc import Iterator
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
def loading(settings: Settings) -> Iterator[None]:
    """Import `MODULES` and make the model store beside the block, and wait for both at its end.

    What fails here fails again in the stage that needs it, and is told there.
    """
    thread = Thread(target=_load, args=(settings,), daemon=True)
    thread.start()
    yield
    thread.join()


def _load(settings: Settings) -> None:
    with suppress(Exception):
        for name in MODULES:
            import_module(name)
        registry(settings, settings.model).versions()
