"""CSV files for people, who open them in a spreadsheet."""

import os
import re
import tempfile
from pathlib import Path

import pandas as pd

from ml.parsing import BLANKS
from sparkify.errors import BadInput

# Where a spreadsheet would find a formula: before one of these, in other widths too, be it after
# blanks; also behind what parts cells in other countries. page.js has the same rule.
FORMULA = re.compile(
    rf"^(?=[\t\r\n])|(?:^|(?<=[;\t]))(?=[\x00-\x1f\"{BLANKS}]*[=+\-@\ufe62\ufe63\ufe66\ufe6b"
    r"\uff0b\uff0d\uff1d\uff20])"
)


def check_writable(out: Path) -> None:
    """Refuse a file that cannot be made, before anything is done for it.

    Raises:
        BadInput: as it says.
    """
    if out.is_dir():
        raise BadInput(f"cannot write {out}: it is a folder; name a file in it")
    # A pipe or a device would be replaced by a file.
    if out.exists() and not out.is_file():
        raise BadInput(f"cannot write {out}: it is no regular file; name another one")
    check_place(behind_links(out))


def behind_links(out: Path) -> Path:
    """The file that a link leads to: it is replaced, and the link stays."""
    return Path(os.path.realpath(out))


def check_place(out: Path) -> None:
    """Refuse a file or folder for which there is no place, and make the folders above it.

    Raises:
        BadInput: as it says.
    """
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=out.parent).close()
    except OSError as error:
        raise BadInput(f"cannot write {out}: {error.strerror}; choose another place") from error


def write_csv(rows: pd.DataFrame, out: Path) -> tuple[str, ...]:
    """Write a CSV file, whole or not at all, in which no text is a formula.

    Returns what a reader should know who joins it with other tables, as sentences.
    """
    check_writable(out)
    place = behind_links(out)
    given = rows.astype(object)
    harmless = given.map(_harmless)
    try:
        partial = place.with_name(f".{place.name}.partial")
        harmless.rename(columns=_harmless).to_csv(partial, index=False)
        partial.replace(place)
    except OSError as error:
        raise BadInput(f"cannot write {out}: {error.strerror}") from error
    changed = (harmless.ne(given) & given.notna()).sum()
    return tuple(
        f"{count:,} of `{name}` have an apostrophe there before what a spreadsheet would take for "
        "a formula."
        for name, count in changed.items()
        if count
    )


def _harmless(value: object) -> object:
    """An apostrophe wherever in a text a spreadsheet would find a formula."""
    return FORMULA.sub("'", value) if isinstance(value, str) else value
