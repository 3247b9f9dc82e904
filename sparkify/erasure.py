"""`sparkify erase`: take a user out of every table and file of a home, for good."""

import csv
import io
import re
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from hashlib import sha256
from pathlib import Path
from urllib.parse import unquote, urlsplit

import click
import pandas as pd
import pyarrow.parquet as pq
import yaml
from pyspark.sql import SparkSession

from sparkify import unchanged
from sparkify.errors import BadInput
from sparkify.identity import key_digest, stored_id
from sparkify.maintenance import DELTA, delta_settings, run_held
from sparkify.query import described, tables_of
from sparkify.session import open_session
from sparkify.settings import PROJECT, Settings
from sparkify.tables import append_pandas, now
from sparkify.terminal import line, stage, table

ERASED = "erased_users"
# A row of the log that is erased stays as one that is counted, with these columns.
ROWS, KEPT = "base_sparkify__rows", ("source_file", "input_version", "is_line_start")
# What ends a word, as in the macro without_people.
ENDS = r"\s\x22\x27\\,;:=(){}\[\]<>/|&"
MASK = "…"
# Of these a table's log has a checkpoint after each commit, and none names files of the past.
FORGETFUL = {
    "delta.checkpointInterval": "1",
    "delta.deletedFileRetentionDuration": "interval 0 seconds",
}


# What a VACUUM freed is told by the log, of which nothing is kept here.
QUIET = DELTA | {"spark.databricks.delta.vacuum.logging.enabled": "false"}


@dataclass(frozen=True)
class Place:
    """A table that can hold users: by the columns that name one, and texts in which one may be."""

    name: str
    ids: tuple[str, ...]
    texts: tuple[str, ...]

    @property
    def is_of_rows(self) -> bool:
        """Whether what is erased here goes on to be counted."""
        return self.name.endswith(f".{ROWS}")


@dataclass(frozen=True)
class User:
    """A user by all ids that may stand for one: that of the log, and the one that tables have."""

    given: str
    ids: tuple[str, ...]

    @property
    def word(self) -> str:
        """A regular expression, of Java's and Python's: an id that stands as a word of its own."""
        ids = "|".join(map(re.escape, self.ids))
        return rf"(?<![^{ENDS}])(?:{ids})(?:\.0*)?(?![^{ENDS}])"


def erase(settings: Settings, given: str, *, is_confirmed: bool) -> None:
    """Erase a user by the id of the log, once that is confirmed, and say what is gone.

    The user is remembered by a hash first, so that no build brings the rows of old files back, and
    so that after a failure the same command does the rest.

    Raises:
        BadInput: there is no such user, or the files of the tables are out of reach.
    """
    with stage("Starting Spark"):
        spark = open_session(settings)
    user = User(given, tuple(dict.fromkeys([given, stored_id(given)])))
    places = list(personal_places(spark, settings))
    with stage("Looking for the user"):
        counts = {place.name: count(spark, place, user) for place in places}
        files = [file for file, how in personal_files(settings.home) if how == "rows"]
        files = [file for file in files if without_rows(file, user)[1]]
        check_reach(spark, settings, places, user)
    remembered = is_remembered(spark, settings, given)
    if not (any(counts.values()) or files or remembered):
        raise BadInput(
            f"no table and no file holds a user {given}; give the id as the log has it, in the "
            f'same case: `sparkify sql "select user_id from {settings.table("dim_users")}"` lists '
            "those of the tables"
        )
    rows = sum(counts.values())
    if not is_confirmed:
        click.confirm(
            f"Erase user {given}, {rows:,} rows and {len(files):,} files, for good?", abort=True
        )
    with run_held(settings), delta_settings(spark, QUIET), stage("Erasing") as say:
        unchanged.forget(settings)
        if not remembered:
            remember(spark, settings, given)
        for place in places:
            say(place.name)
            if counts[place.name]:
                erase_rows(spark, settings, place, user)
            if settings.table_format == "delta":
                forget_history(spark, place.name)
        done = list(erase_files(settings.home, user))
    show(settings, given, counts, done)


def personal_places(spark: SparkSession, settings: Settings) -> Iterator[Place]:
    """The tables that can hold a user: those that the YAML says so of, or with a user_id.

    Tables of the schema of the log refer to the files of it and hold nothing.
    """
    told = described()
    for schema in (settings.schema, f"{settings.schema}_ml"):
        views = (
            {row.viewName for row in spark.sql(f"show views in {schema}").collect()}
            if spark.catalog.databaseExists(schema)
            else set()
        )
        for name in tables_of(spark, schema):
            if name in views:
                continue
            kinds = personal_columns(told.get(name, {})) | {"user_id": "id"}
            columns = spark.table(f"{schema}.{name}").columns
            by_kind = {
                kind: tuple(column for column in columns if kinds.get(column) == kind)
                for kind in ("id", "text")
            }
            if any(by_kind.values()):
                yield Place(f"{schema}.{name}", by_kind["id"], by_kind["text"])


def personal_columns(told: dict) -> dict[str, str]:
    """By column, how the YAML of a table says that it holds a person: id or text."""
    meta = {
        each["name"]: each.get("config", {}).get("meta", {}) for each in told.get("columns", [])
    }
    return {name: found["personal"] for name, found in meta.items() if "personal" in found}


def names(place: Place, user: User) -> str:
    """Whether a row is of the user, in SQL."""
    ids = ", ".join(map(literal, user.ids))
    found = [f"coalesce(`{column}` in ({ids}), false)" for column in place.ids]
    return f"({' or '.join(found) or 'false'})"


def holds(place: Place, user: User) -> str:
    """Whether a row is of the user, or tells of the user, in SQL."""
    word = literal(user.word)
    return " or ".join([names(place, user), *(f"`{each}` rlike {word}" for each in place.texts)])


def literal(text: str) -> str:
    """A text in SQL; Spark would put a setting in place of what a dollar begins."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'").replace("$", "\\u0024")
    return f"'{escaped}'"


def count(spark: SparkSession, place: Place, user: User) -> int:
    """How many rows hold the user."""
    return spark.sql(f"select count(*) as n from {place.name} where {holds(place, user)}").first()[
        "n"
    ]


def check_reach(spark: SparkSession, settings: Settings, places: list[Place], user: User) -> None:
    """Refuse what would leave a trace: logs of tables elsewhere, files of the log named for users.

    Raises:
        BadInput: it names the place.
    """
    rows = settings.table(ROWS)
    if settings.table_format == "delta":
        for place in places:
            if not log_of(spark, place.name).is_dir():
                raise BadInput(
                    f"the files of {place.name} are not on this machine, and its history cannot "
                    "be erased from here: run this where they are"
                )
    if spark.catalog.tableExists(rows):
        named = spark.sql(
            f"select source_file from {rows} where source_file rlike {literal(user.word)} limit 1"
        ).first()
        if named:
            raise BadInput(
                f"{named['source_file']} is named for the user, and tables name their files: give "
                "it another name, run `sparkify build --events PATH`, and erase the user then"
            )


def erase_rows(spark: SparkSession, settings: Settings, place: Place, user: User) -> None:
    """Take the user out of the current version of a table."""
    columns = spark.table(place.name).columns
    is_user, word = names(place, user), literal(user.word)
    changed = {name: f"regexp_replace(`{name}`, {word}, '{MASK}')" for name in place.texts}
    if place.is_of_rows:
        others = {name: changed.get(name, f"`{name}`") for name in columns if name not in KEPT}
        changed = {name: f"if({is_user}, null, {value})" for name, value in others.items()}
        changed["rejection_reason"] = f"if({is_user}, 'erased', rejection_reason)"
    if settings.table_format == "delta":
        if changed:
            sets = ", ".join(f"`{name}` = {value}" for name, value in changed.items())
            spark.sql(f"update {place.name} set {sets} where {holds(place, user)}")
        if place.ids and not place.is_of_rows:
            spark.sql(f"delete from {place.name} where {is_user}")
        return
    # Plain Parquet has no row that can be changed: the table is written anew.
    selected = ", ".join(f"{changed.get(name, f'`{name}`')} as `{name}`" for name in columns)
    gone = "false" if place.is_of_rows else is_user
    kept = f"{place.name}__kept"
    spark.sql(f"drop table if exists {kept}")
    spark.sql(
        f"create table {kept} using parquet as select {selected} from {place.name} where not {gone}"
    )
    spark.sql(f"insert overwrite table {place.name} select * from {kept}")
    spark.sql(f"drop table {kept}")


def forget_history(spark: SparkSession, name: str) -> None:
    """Delete every earlier version of a Delta table, and what its log tells of these.

    The log holds the least and the largest text of each file, and the predicates of statements.
    """
    rows = spark.sql(f"show tblproperties {name}").collect()
    before = {row["key"]: row["value"] for row in rows if row["key"] in FORGETFUL}
    set_properties(spark, name, FORGETFUL)
    spark.sql(f"vacuum {name} retain 0 hours")
    log = log_of(spark, name)
    last = max(version_of(file) for file in log.glob("*.checkpoint*.parquet"))
    for file in log.iterdir():
        if file.is_file() and version_of(file) < last:
            file.unlink()
    if unset := [f"'{each}'" for each in FORGETFUL if each not in before]:
        spark.sql(f"alter table {name} unset tblproperties ({', '.join(unset)})")
    if before:
        set_properties(spark, name, before)


def set_properties(spark: SparkSession, name: str, properties: dict[str, str]) -> None:
    """Set properties of a table."""
    pairs = ", ".join(f"'{key}' = '{value}'" for key, value in properties.items())
    spark.sql(f"alter table {name} set tblproperties ({pairs})")


def log_of(spark: SparkSession, name: str) -> Path:
    """The folder of a Delta table's log, as this machine has it."""
    location = spark.sql(f"describe detail {name}").first()["location"]
    return Path(unquote(urlsplit(location).path), "_delta_log")


def version_of(file: Path) -> float:
    """The version that a file of a log is of, its checksum too; infinity of what is of none."""
    found = re.match(r"\.?(\d{20})\.", file.name)
    return int(found[1]) if found else float("inf")


def is_remembered(spark: SparkSession, settings: Settings, given: str) -> bool:
    """Whether a user is among those who are erased."""
    if not spark.catalog.tableExists(settings.table(ERASED)):
        return False
    known = spark.table(settings.table(ERASED)).where(f"key_digest = '{key_digest()}'").collect()
    return any(row["user_hash"] == hash_of(row["salt"], given) for row in known)


def remember(spark: SparkSession, settings: Settings, given: str) -> None:
    """Keep a hash of the user, by which the macro `is_erased` recognizes rows of old files.

    Raises:
        BadInput: no run has created the table yet.
    """
    name = settings.table(ERASED)
    first = spark.table(name).select("salt").first() if spark.catalog.tableExists(name) else None
    salt = first["salt"] if first else secrets.token_hex(16)
    row = {
        "user_hash": hash_of(salt, given),
        "salt": salt,
        "key_digest": key_digest(),
        "erased_at": now(),
    }
    append_pandas(spark, settings, pd.DataFrame([row]), name)


def hash_of(salt: str, given: str) -> str:
    """What is remembered of a user: see the macro `is_erased`."""
    return sha256(f"{salt}{stored_id(given)}".encode()).hexdigest()


def file_rules() -> list[dict[str, str]]:
    """What lies under a home: `files` (a pattern), `erase` (how) and `holds`."""
    return yaml.safe_load((PROJECT / "sparkify" / "personal_files.yml").read_text())


def rule_of(file: Path, home: Path) -> str | None:
    """How a user is taken out of a file; None of one that is not known."""
    place = file.relative_to(home).as_posix()
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
    files = sorted(file for file in home.rglob("*") if file.is_file())
    rules = ((file, rule_of(file, home)) for file in files)
    return [(file, how) for file, how in rules if how in ("rows", "words", "delete")]


def without_rows(file: Path, user: User) -> tuple[bytes, int]:
    """A CSV or Parquet file without the rows that have an id as a value, and how many they are."""
    if file.suffix == ".parquet":
        rows = pq.read_table(file)
        is_kept = [not set(user.ids) & set(row.values()) for row in rows.to_pylist()]
        out = io.BytesIO()
        pq.write_table(rows.filter(is_kept), out)
        return out.getvalue(), is_kept.count(False)
    with file.open(newline="", encoding="utf-8", errors="surrogateescape") as text:
        rows = list(csv.reader(text))
    kept = [row for row in rows if not any(cell.removeprefix("'") in user.ids for cell in row)]
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(kept)
    return out.getvalue().encode("utf-8", "surrogateescape"), len(rows) - len(kept)


def without_words(file: Path, user: User) -> tuple[bytes, int]:
    """A text without the user's ids where they stand as words, and how many there are."""
    text = file.read_bytes().decode("utf-8", "surrogateescape")
    masked, found = re.subn(user.word, MASK, text)
    return masked.encode("utf-8", "surrogateescape"), found


WITHOUT: dict[str, Callable[[Path, User], tuple[bytes, int]]] = {
    "rows": without_rows,
    "words": without_words,
}


def show(settings: Settings, given: str, counts: dict[str, int], done: list) -> None:
    """A row a table and a file, and what that means for what comes."""
    columns = {"table or file": "left", "erased": "right"}
    files = [(str(file.relative_to(settings.home)), said) for file, said in done]
    table("Erased", columns, [*((name, f"{n:,} rows") for name, n in counts.items()), *files])
    line()
    line(
        f"User {given} is erased: {sum(counts.values()):,} rows of {len(counts):,} tables, with "
        "every earlier version of these. No build brings the user back, --full-refresh neither."
    )
    line(
        "The files of the log are yours and stay as they are, as does what you wrote elsewhere "
        f"than in {settings.home}: take the user out of these yourself."
    )
    line(
        "Totals over users are made anew by the next `sparkify build --events PATH`, the page by "
        "`sparkify report`. Models that learned from the user too stay until the next `sparkify "
        "train`."
    )
