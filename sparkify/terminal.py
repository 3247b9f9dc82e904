"""What a person sees while a run works and when it ends: the one place where data is printed.

Data is text: nothing in it is markup, and what a terminal would act on or hide is shown as an
escape, such as \\x1b.
"""

import os
import sys
import threading
import time
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

for _name in ("stdout", "stderr"):
    # Whoever started this process may have closed them, as `>&-` does.
    if getattr(sys, _name) is None:
        setattr(sys, _name, os.fdopen(os.open(os.devnull, os.O_WRONLY), "w"))
# A log has no width of its own; 80 columns would break the tables.
console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)
# In less than this a table would lose columns: it is laid out for so many, and the terminal folds.
NARROWEST = 40
if console.width < NARROWEST:
    console.width = NARROWEST

# Control and format characters, lone surrogates, separators of lines and paragraphs.
UNSEEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}
# How often a log says what a stage is at.
LOG_EVERY_S = 15.0
# How narrow a column of long cells may become, and what lies between two.
FOLDED, GAP = 40, 2


def visible(data: object, *, keep: str = "") -> str:
    r"""Text with every unseen character as an escape, such as `\n`, `\x1b` or `\u202e`.

    keep: characters to leave as they are.
    """
    return "".join(
        character.encode("unicode_escape").decode()
        if unicodedata.category(character) in UNSEEN and character not in keep
        else character
        for character in str(data)
    )


def styled(data: object, style: str) -> Text:
    """Data in a style of rich's, such as `dim`."""
    return Text(visible(data), style=style)


def cell(data: object) -> Text:
    """What is printed of data; a Text as it is, the items of a list each on a line of its own."""
    if isinstance(data, Text):
        return data
    if isinstance(data, list):
        return Text("\n").join(cell(item) for item in data)
    return Text(visible(data))


def line(*parts: object, style: str = "", wrap: bool = True) -> None:
    """Print parts one after the other; without `wrap` it is the terminal that breaks the line."""
    console.print(Text.assemble(*map(cell, parts), style=style), soft_wrap=not wrap)


def warn(message: str) -> None:
    """Print one line to stderr."""
    click.echo(visible(" ".join(message.split())), err=True)


def emit(data: str) -> None:
    """Print data for a program, raw: not by click, which takes escape sequences out."""
    sys.stdout.write(data)


def is_quiet() -> bool:
    """Whether nothing is printed but what `emit` and `warn` do."""
    return console.quiet


@contextmanager
def quietly(is_asked: bool) -> Iterator[None]:
    """If so, print nothing for a while but what `emit` and `warn` do."""
    before = console.quiet
    console.quiet = before or is_asked
    try:
        yield
    finally:
        console.quiet = before


@contextmanager
def stage(title: str) -> Iterator[Callable[[str], None]]:
    """Show a stage while it runs and the seconds it took; yields a function for its steps.

    On a terminal a step replaces the one before; a log has the stages, and every 15 s the step.
    """
    started = time.perf_counter()
    step, is_done = [""], threading.Event()

    def tell() -> None:
        while not is_done.wait(LOG_EVERY_S):
            took = f" {time.perf_counter() - started:.0f} s"
            line(styled("… ", "dim"), title, styled(f"{took} {step[0]}", "dim"))

    def say(now: str) -> None:
        step[0] = now
        told = Text.assemble(cell(title), " ", styled(now, "dim"))
        # On one line, behind the spinner and a blank.
        told.truncate(console.width - 2, overflow="ellipsis")
        status.update(told)

    with console.status(cell(title)) as status:
        if not console.is_terminal:
            threading.Thread(target=tell, daemon=True).start()
        try:
            yield say
        finally:
            is_done.set()
    took = f" {time.perf_counter() - started:.1f} s"
    line(styled("✓ ", "green"), title, styled(took, "dim"))


def table(
    title: str | None,
    columns: Mapping[str, str] | Iterable[tuple[object, str]],
    rows: Iterable[Iterable],
    *,
    note: str = "",
) -> None:
    """Print rows under `columns`: pairs, or a mapping, of heading to `left` or `right`.

    note: follows the title, less loud. Under a title the first column is not broken, unless it
    would take more than half of the width from the others.
    """
    rows = [[cell(each) for each in row] for row in rows]
    grid = _grid(columns, rows, heading_style="dim")
    if title is not None:
        parts = (styled(title, ""), " " if note else "", styled(note, "not bold"))
        grid.title = Text.assemble(*parts, style="bold")
        first = max((row[0].cell_len for row in rows), default=0)
        grid.columns[0].no_wrap = first <= console.width // 2
        console.print()
    console.print(grid)


def records(columns: Iterable[tuple[object, str]], rows: list[list]) -> None:
    """Print rows as `table` does, or if that is too wide, each column of each row on a line.

    Too wide is what does not fit though long cells are folded. Long results go page by page.
    """
    columns = list(columns)
    cells = [[name for name, _ in columns], *rows]
    widths = [max(cell(each).cell_len for each in column) for column in zip(*cells, strict=True)]
    if sum(min(width, FOLDED) + GAP for width in widths) - GAP <= console.width:
        with _paged(lines=len(rows)):
            console.print(_grid(columns, rows, heading_style="bold"))
        return
    with _paged(lines=len(rows) * (1 + len(columns))):
        for number, row in enumerate(rows, start=1):
            line(f"row {number:,}", style="dim")
            pairs = [(name, value) for (name, _), value in zip(columns, row, strict=True)]
            tall = _grid({"": "left", " ": "left"}, pairs, heading_style="")
            tall.show_header, tall.columns[0].style = False, "bold"
            console.print(tall)


@contextmanager
def _paged(*, lines: int) -> Iterator[None]:
    """On a terminal that is lower than so many lines, show what is printed page by page."""
    if not console.is_terminal or lines < console.height:
        yield
        return
    with console.pager():
        yield


def _grid(
    columns: Mapping[str, str] | Iterable[tuple[object, str]],
    rows: Iterable[Iterable],
    *,
    heading_style: str,
) -> Table:
    grid = Table(title_justify="left", box=None, pad_edge=False)
    pairs = columns.items() if isinstance(columns, Mapping) else columns
    for heading, justify in pairs:
        grid.add_column(cell(heading), justify=justify, header_style=heading_style, overflow="fold")
    for row in rows:
        grid.add_row(*map(cell, row))
    return grid
