"""What the README, docs/ and CONTRIBUTING show: their blocks, tables and names."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import click
from click.testing import CliRunner

from sparkify.cli import cli
from sparkify.settings import PROJECT

README, CONTRIBUTING = PROJECT / "README.md", PROJECT / "CONTRIBUTING.md"
DOCS = sorted((PROJECT / "docs").glob("*.md"))
PAGES = (README, CONTRIBUTING, PROJECT / "CHANGELOG.md", *DOCS)
# What only reads; other commands are parsed, not run.
READING = {"sql", "tables", "targets"}


class Block(NamedTuple):
    """A fenced block. is_run: unless the line above it says `<!-- not run: why -->`."""

    kind: str
    text: str
    is_run: bool


def blocks(page: Path, *kinds: str) -> list[Block]:
    """The blocks of a page; with `kinds`, only these."""
    fenced = r"^(<!-- not run: .+ -->\n)?^ *```(\w+)\n(.*?)^ *```$"
    found = re.findall(fenced, page.read_text(), re.M | re.S)
    return [
        Block(kind, text, not excuse) for excuse, kind, text in found if not kinds or kind in kinds
    ]


def commands(script: str) -> Iterator[list[str]]:
    """The words of each command of a shell script; what stands in quotes may have lines."""
    pending = ""
    for line in script.splitlines(keepends=True):
        pending += line
        try:
            words = shlex.split(pending, comments=True)
        except ValueError:  # the quote is not closed yet
            continue
        pending = ""
        if words:
            yield words
    assert not pending, pending


def sparkify_commands(page: Path) -> Iterator[list[str]]:
    """The words after `sparkify` of each of its commands in a shell or a crontab."""
    for block in blocks(page, "sh", "crontab"):
        script = re.sub(r"^[\d* ]+|\S*bin/(?=sparkify)|&&", "\n", block.text, flags=re.M)
        for words in commands(script if block.kind == "crontab" else block.text):
            if words[0] == "sparkify":
                yield words[1 : words.index(">") if ">" in words else None]


def parse(words: list[str]) -> None:
    """Refuse a command or an option that there is not; run nothing."""
    context = click.Context(cli, **cli.context_settings)
    _, rest, _ = cli.make_parser(context).parse_args(list(words))
    name, *rest = rest
    command = cli.commands[name]
    command.make_context(name, rest, parent=context)


def rows_of(page: Path, first: str) -> list[list[str]]:
    """The cells of each row of the table whose head begins with `first`."""
    found = re.search(rf"^\| {first} \|.*?\n\n", page.read_text(), re.M | re.S)
    return [row.strip("| ").split(" | ") for row in found.group().splitlines()[2:] if row]


def names(rows: list[list[str]]) -> set[str]:
    """What stands in backticks in the first cells of rows."""
    return {name for row in rows for name in re.findall(r"`(\w+)`", row[0])}


def follow(page: Path, spark) -> dict[str, object]:
    """Run the blocks of a page in this folder, as a reader would; return what Python left.

    Of the shell only commands of `sparkify` that read; a statement that writes is planned.
    """
    left = {}
    for block in blocks(page):
        if not block.is_run:
            continue
        if block.kind == "sql":
            assert ask("sql", block.text, "--format", "json"), block.text
        elif block.kind == "sh":
            for words in commands(block.text):
                do(words, spark)
        elif block.kind == "python":
            # Java was started in another folder.
            text = block.text.replace('"users.csv"', repr(str(Path("users.csv").absolute())))
            exec(compile(text, str(page), "exec"), left)
    return left


def do(words: list[str], spark) -> None:
    program, *words = words
    if program != "sparkify" or words[0] not in READING:
        return
    if "--write" in words:
        spark.sql(f"explain {words[-1]}").collect()
    elif ">" in words:
        *words, _, out = words
        Path(out).write_text(ask(*words))
    else:
        ask(*words)


def ask(*arguments: str) -> str:
    done = CliRunner().invoke(cli, arguments)
    assert done.exit_code == 0, (arguments, done.exception)
    return done.output
