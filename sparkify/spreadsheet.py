"""CSV files for people, who open them in a spreadsheet."""

import tempfile
from pathlib import Path

import pandas as pd

from sparkify.errors import BadInput

# What a spreadsheet would take for a formula begins so.
FORMULA = ("=", "+", "-", "@", "\t", "\r")


def check_writable(out: Path) -> None:
    """Refuse a file or folder that cannot be made, before anything is done for it.

    Raises:
        BadInput: as it says.
    """
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=out.parent).close()
    except OSError as error:
        raise BadInput(f"cannot write {out}: {error.strerror}; choose another place") from error


def write_csv(rows: pd.DataFrame, out: Path) -> None:
    """Write a CSV file, whole or not at all, in which no text is a formula."""
    check_writable(out)
    try:
        partial = out.with_name(f".{out.name}.partial")
        rows.apply(_harmless).to_csv(partial, index=False)
        partial.replace(out)
    except OSError as error:
        raise BadInput(f"cannot write {out}: {error.strerror}") from error


def _harmless(column: pd.Series) -> pd.Series:
    """An apostrophe before every text that a spreadsheet would take for a formula."""
    if column.dtype != object:
        return column
    return column.map(
        lambda value: f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value
    )
