"""The files of a home that can hold a person, and how one user is taken out of them."""

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from urllib.parse import quote, quote_plus

import pyarrow.parquet as pq
import yaml

from ml.parsing import BLANKS
from sparkify.identity import cleaned_id
from sparkify.settings import PROJECT

# What ends a word, as in the macro without_erased.
ENDS = r"\s\x1b\x22\x27\x60\\,;:=(){}\[\]<>/|&#!?*" + "".join(
    rf"\u{ord(blank):04x}" for blank in f"{BLANKS}\0"
)
MASK = "…"
# The columns of a file that name a user, in small letters; in a file without any, every cell may.
NAMING = ("user", "user_id", "userid")
# What may lie between the cells of a file.
SEPARATORS = ",;\t|"
# Characters: a whole line of a log may be one.
LONGEST_CELL = 2**31 - 1


@dataclass(frozen=True)
class User:
    """A user by all ids that may stand for one: that of the log, and the one that tables have."""

    given: str
    ids: tuple[str, ...]

    @property
    def written(self) -> str:
        """A regular expression, of Java's and Python's: an id as a word begins with it."""
        ids = [re.escape(each) for id in self.ids for each in spellings(id)]
        ids += [each for id in self.ids for each in as_floats(id)]
        return rf"(?<![^{ENDS}])(?:{'|'.join(ids)})"

    @property
    def word(self) -> str:
        """As `written`, of an id that is the whole word."""
        return rf"{self.written}(?:\.0*)?(?![^{ENDS}])"

    @property
    def is_word(self) -> bool:
        """Whether the id of the log is written in one way, and holds nothing that ends a word."""
        return len(spellings(self.given)) == 1


def spellings(id: str) -> list[str]:
    """An id as texts have it: as it is, in JSON, whose writers escape more or less, and in URLs."""
    escaped = [json.dumps(id, ensure_ascii=is_all)[1:-1] for is_all in (True, False)]
    escaped.append(re.sub(r"(?<=\\u)[0-9a-f]{4}", lambda digits: digits[0].upper(), escaped[0]))
    escaped += [each.replace("/", r"\/") for each in escaped]
    for each in (quote(id, safe=""), quote_plus(id)):
        escaped += [each, re.sub("%..", lambda digits: digits[0].lower(), each)]
    return list(dict.fromkeys([id, *escaped]))


def as_floats(id: str) -> Iterator[str]:
    """Regular expressions of a whole number with an exponent: of 30 that of 3.0e+1, for one."""
    number = re.fullmatch("(-?)([1-9][0-9]{0,37})", id)
    if not number:
        return
    sign, digits = number.groups()
    for places in range(len(digits)):
        whole, fraction = digits[: len(digits) - places], digits[len(digits) - places :].rstrip("0")
        # 5e3 is no number, but somebody's id: see the macro `whole_number`.
        power = rf"\.{fraction}0*[eE]\+?" if fraction else r"(?:\.0*[eE]\+?|[eE]\+)"
        yield rf"\+?{sign}{whole}{power}0?{places}"
    yield rf"{number[0]}(?:\.0*)?[eE]-00?"
    yield rf"\+{number[0]}\.0*"


@cache
def file_rules() -> list[dict[str, str]]:
    """What lies under a home: `files` (a pattern), `erase` (how) and `holds`."""
    return yaml.safe_load((PROJECT / "sparkify" / "personal_files.yml").read_text())


def rule_of(file: Path, home: Path) -> str | None:
    """How a user is taken out of a file; None of one that is not known."""
    place = file.relative_to(home).with_suffix(file.suffix.lower()).as_posix()
    fitting = (rule["erase"] for rule in file_rules() if fnmatchcase(place, rule["files"]))
    return next(fitting, None)


def erase_files(home: Path, user: User) -> Iterator[tuple[Path, str]]:
    """Take the user out of every file, and tell what was done to which."""
    for file, how in personal_files(home):
        if how == "delete":
            file.unlink()
            yield file, "deleted"
        elif how in WITHOUT:
            content, found = WITHOUT[how](file, user)
            if found:
                # In place, for a log is open while this is done.
                with file.open("r+b") as out:
                    out.write(content)
                    out.truncate()
                yield file, f"{found:,} {how}"


def personal_files(home: Path) -> list[tuple[Path, str]]:
    """The files of a home that can hold users apart from the tables, and how each is treated."""
    return [(file, how) for file, how in ruled(home) if how in ("rows", "words", "delete")]


def unknown_files(home: Path) -> list[Path]:
    """The files of a home that no rule fits: what people keep there."""
    return [file for file, how in ruled(home) if how is None]


def ruled(home: Path) -> Iterator[tuple[Path, str | None]]:
    """Every file of a home with its rule: see `rule_of`.

    None fits a link, which leads elsewhere, nor a list that is not UTF-8, as Excel writes it.
    """
    for file in sorted(file for file in home.rglob("*") if file.is_file() or file.is_symlink()):
        how = rule_of(file, home)
        is_list = how == "rows" and file.suffix.lower() != ".parquet"
        is_other = file.is_symlink() or (is_list and b"\0" in file.read_bytes())
        yield file, None if is_other else how


def without_rows(file: Path, user: User) -> tuple[bytes, int]:
    """A CSV or Parquet file without the rows that an id names, and how many they are."""
    out = io.BytesIO()
    if file.suffix.lower() == ".parquet":
        rows = pq.read_table(file)
        places = naming(rows.column_names)
        is_kept = [not names_user(row.values(), places, user) for row in rows.to_pylist()]
        pq.write_table(rows.filter(is_kept), out)
        return out.getvalue(), is_kept.count(False)
    separator, rows = cells_of(file)
    if not separator:
        return without_words(file, user)
    places = naming(rows[0]) if rows else set()
    kept = [row for row in rows if not names_user(row, places, user)]
    with io.TextIOWrapper(out, "utf-8", "surrogateescape", newline="") as text:
        csv.writer(text, delimiter=separator, lineterminator="\n").writerows(kept)
        text.flush()
        return out.getvalue(), len(rows) - len(kept)


def cells_of(file: Path) -> tuple[str, list[list[str]]]:
    """What parts the cells of a text file, and its rows; nothing where they are no table.

    A table has two columns at least, and as many cells in every row; a quotation mark that is not
    closed would hide rows. Of several readings that with a column of users counts, then the
    widest; without such a column there is no telling.
    """
    found: dict[str, list[list[str]]] = {}
    csv.field_size_limit(LONGEST_CELL)
    for separator in SEPARATORS:
        with file.open(newline="", encoding="utf-8", errors="surrogateescape") as text:
            try:
                rows = list(csv.reader(text, delimiter=separator, strict=True))
            except csv.Error:
                continue
        widths = {len(row) for row in rows if row}
        if len(widths) == 1 and max(widths) > 1:
            found[separator] = rows
    named = {each: rows for each, rows in found.items() if naming(rows[0])}
    if not named and len(found) != 1:
        return "", []
    return max((named or found).items(), key=lambda each: len(each[1][0]))


def naming(header: list[str]) -> set[int]:
    """The places of the columns that name a user; empty where none does by its name."""
    names = (name.strip("\ufeff ").lower() for name in header)
    return {place for place, name in enumerate(names) if name in NAMING}


def names_user(row: Iterable[object], places: set[int], user: User) -> bool:
    """Whether a row has an id at one of these places, or anywhere without them."""
    cells = (cell for place, cell in enumerate(row) if place in places or not places)
    texts = [cell.strip() for cell in cells if isinstance(cell, str)]
    # Scores have a quote before what a spreadsheet would reckon; pandas writes 36.0 for 36.
    texts += [text[1:] for text in texts if text.startswith("'")]
    return any(cleaned_id(text) in user.ids for text in texts)


def without_words(file: Path, user: User) -> tuple[bytes, int]:
    """A text without the user's ids where they stand as words, and how many there are."""
    text = file.read_bytes().decode("utf-8", "surrogateescape")
    masked, found = re.subn(user.word, MASK, text)
    return masked.encode("utf-8", "surrogateescape"), found


WITHOUT: dict[str, Callable[[Path, User], tuple[bytes, int]]] = {
    "rows": without_rows,
    "words": without_words,
}
