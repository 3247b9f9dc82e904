"""What a person sees while a run works and when it ends."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.table import Table

# A log has no width of its own; 80 columns would break the tables.
console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)


@contextmanager
def stage(title: str) -> Iterator[Callable[[str], None]]:
    """Show a stage while it runs and the seconds it took; yields a function for its steps.

    On a terminal a step replaces the one before; in a log only the stages remain.
    """
    started = time.perf_counter()
    with console.status(title) as status:
        yield lambda step: status.update(f"{title} [dim]{step}[/dim]")
    console.print(f"[green]✓[/green] {title} [dim]{time.perf_counter() - started:.1f} s[/dim]")


def table(title: str, columns: dict[str, str], rows: list[tuple]) -> None:
    """Print rows under `columns`, a mapping of heading to `left` or `right`."""
    grid = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for heading, justify in columns.items():
        grid.add_column(heading, justify=justify, header_style="dim", overflow="fold")
    grid.columns[0].no_wrap = True
    for row in rows:
        grid.add_row(*(str(cell) for cell in row))
    console.print()
    console.print(grid)
