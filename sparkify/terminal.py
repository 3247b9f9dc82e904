"""What a person sees while a run works and when it ends: the one place where data is printed.

Data is text: nothing in it is markup, and what a terminal would act on or hide is shown as an
escape, such as \\x1b.
"""

import sys
import time
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

# A log has no width of its own; 80 columns would break the tables.
console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)

# Control and format characters, lone surrogates, separators of lines and paragraphs.
UNSEEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}


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


@contextmanager
def stage(title: str) -> Iterator[Callable[[str], None]]:
    """Show a stage while it runs and the seconds it took; yields a function for its steps.

    On a terminal a step replaces the one before; in a log only the stages remain.
    """
    started = time.perf_counter()
    with console.status(cell(title)) as status:
        yield lambda step: status.update(Text.assemble(cell(title), " ", styled(step, "dim")))
    took = f" {time.perf_counter() - started:.1f} s"
    line(styled("✓ ", "green"), title, styled(took, "dim"))


def table(
    title: str | None,
    columns: Mapping[str, str] | Iterable[tuple[object, str]],
    rows: Iterable[tuple],
    *,
    note: str = "",
    heading_style: str = "dim",
) -> None:
    """Print rows under `columns`: pairs, or a mapping, of heading to `left` or `right`.

    note: follows the title, less loud. Under a title the first column is not broken.
    """
    grid = Table(title_justify="left", box=None, pad_edge=False)
    pairs = columns.items() if isinstance(columns, Mapping) else columns
    for heading, justify in pairs:
        grid.add_column(cell(heading), justify=justify, header_style=heading_style, overflow="fold")
    for row in rows:
        grid.add_row(*map(cell, row))
    if title is not None:
        parts = (styled(title, ""), " " if note else "", styled(note, "not bold"))
        grid.title = Text.assemble(*parts, style="bold")
        grid.columns[0].no_wrap = True
        console.print()
    console.print(grid)
