"""`sparkify erase`: take a user out of every table and file of a home, for good."""

import re
import secrets
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import partial
from hashlib import sha256
from pathlib import Path
from urllib.parse import unquote, urlsplit

import click
import pandas as pd
from pyspark.sql import SparkSession

from ml.parsing import identity
from sparkify import unchanged
from sparkify.catalog import described, tables_of
from sparkify.commands.maintain import DELTA, delta_settings
from sparkify.errors import BadInput, WrongUse
from sparkify.formatting import plural
from sparkify.identity import ERASED, cleaned_id, key_digest, stored_id
from sparkify.lock import run_held
from sparkify.personal_files import (
    ENDS,
    MASK,
    NAMING,
    User,
    erase_files,
    personal_files,
    unknown_files,
    without_rows,
)
from sparkify.remote import has_remote
from sparkify.session import open_session
from sparkify.settings import Settings
from sparkify.sources import append_pandas, now
from sparkify.terminal import line, stage, table
from sparkify.warehouse import COPY

# A row of the log that is erased stays as one that is counted, with these columns.
ROWS, KEPT = "base_sparkify__rows", ("source_file", "input_version", "is_line_start")
# Types of columns in which nobody is looked for, and with them those that cannot name a user.
NESTED = ("array", "binary", "map", "struct", "variant")
NO_ID = (*NESTED, "boolean", "date", "timestamp")
# Of these a table's log has a checkpoint after each commit, and none names files of the past.
FORGETFUL = {
    "delta.checkpointInterval": "1",
    "delta.deletedFileRetentionDuration": "interval 0 seconds",
}
# Delta holds how long files are kept against this, and only if one statement sets both.
LOG_IS_KEPT = "delta.logRetentionDuration"
# What a VACUUM freed is told by the log, of which nothing is kept here.
QUIET = DELTA | {"spark.databricks.delta.vacuum.logging.enabled": "false"}


@dataclass(frozen=True)
class Place:
    """A table that can hold users: by the columns that name one, and texts in which one may be.

    is_delta: it keeps its history, and its rows can be changed. numbers: of the ids that are no
    texts, Spark's type.
    """

    name: str
    ids: tuple[str, ...]
    texts: tuple[str, ...]
    is_delta: bool = True
    numbers: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_of_rows(self) -> bool:
        """Whether what is erased here goes on to be counted."""
        return self.name.endswith(f".{ROWS}")

    @property
    def telling(self) -> str:
        """In which rows the texts may tell of a user whom no id names, in SQL."""
        return "rejection_reason <=> 'malformed_json'" if self.is_of_rows else "true"


def confirm(question: str) -> None:
    """Ask on the terminal.

    Raises:
        WrongUse: the answer is no, or nobody is there to give one.
    """
    try:
        if click.confirm(question):
            return
        why = "the answer was no"
    except click.Abort:
        if sys.stdin.isatty():  # Ctrl-C
            raise
        why = "nobody is there to answer; add --yes"
    raise WrongUse(f"nothing is erased: {why}")


def erase(settings: Settings, given: str, *, is_confirmed: bool, is_known: bool = True) -> None:
    """Erase a user by the id of the log, once that is confirmed, and say what is gone.

    The user is remembered by a hash first, so that no build brings the rows of old files back, and
    so that after a failure the same command does the rest. is_known: that a row or a file of now
    names the user; if not, earlier versions of tables, logs and files of the log may.

    Raises:
        BadInput: there is no such user, though one is_known, it is a hash of one, or the files of
            the tables are out of reach.
        WrongUse: it is not confirmed.
    """
    given = cleaned_id(given)
    with stage("Starting Spark"):
        spark = open_session(settings)
    user = User(given, tuple(dict.fromkeys([given, stored_id(given)])))
    with stage("Looking for the user"):
        _, counts = look(spark, settings, user)
        if not (counts.get(settings.table(ROWS)) or is_remembered(spark, settings, given)):
            check_key(spark, settings, given)
        files = [file for file, how in personal_files(settings.home) if how == "rows"]
        files = [file for file in files if without_rows(file, user)[1]]
    is_found = any(counts.values()) or files or is_remembered(spark, settings, given)
    if is_known and not is_found:
        users = settings.table("dim_users")
        listed = (
            f'`sparkify sql "select user_id from {users}"` lists those of the tables'
            if spark.catalog.tableExists(users)
            else "there are no tables of users yet"
        )
        under = " under this SPARKIFY_USER_KEY" if key_digest() else ""
        raise BadInput(
            f"no row and no list of now names a user {given}{under}; give the id as the log has "
            f"it, in the same case: {listed}. With --anyway one is erased whom only earlier "
            "versions, the report, logs or files of the log name"
        )
    rows = sum(counts.values())
    if not is_confirmed:
        what = f"{plural(rows, 'row')} and {plural(len(files), 'file')}"
        confirm(f"Erase user {given}, {what}, for good?")
    with run_held(settings), delta_settings(spark, QUIET), stage("Erasing") as say:
        # A run may have written before this one is held, as while the answer was awaited.
        restore(spark, settings)
        say("looking again")
        places, counts = look(spark, settings, user)
        unchanged.forget(settings)
        if not is_remembered(spark, settings, given):
            remember(spark, settings, given)
        for place in places:
            say(place.name)
            if counts[place.name] or place.is_of_rows:
                erase_rows(spark, place, user)
            if place.is_delta:
                forget_history(spark, place.name)
        done = list(erase_files(settings.home, user))
    show(settings, given, counts, done)
    for folder in strays(spark, settings):
        line(f"Not looked at: {folder}, which the catalogue does not know as a table.")
    for column in nested_columns(spark, settings):
        line(f"Not looked at: {column}. Take the user out of it yourself.")


def look(spark: SparkSession, settings: Settings, user: User) -> tuple[list[Place], dict[str, int]]:
    """The tables that can hold users, and how many rows of each hold this one.

    Raises:
        BadInput: see `check_id` and `check_reach`.
    """
    places = list(personal_places(spark, settings))
    for place in places:
        # Of these Spark knows files that it has listed.
        if not place.is_delta:
            spark.sql(f"refresh table {place.name}")
    check_id(spark, places, user)
    check_reach(spark, settings, places, user)
    return places, {place.name: count(spark, place, user) for place in places}


def personal_places(spark: SparkSession, settings: Settings) -> Iterator[Place]:
    """The tables that can hold a user: those that the YAML says so of, and all that others made.

    Tables of the schema of the log refer to the files of it and hold nothing.
    """
    told = described()
    for schema in (settings.schema, f"{settings.schema}_ml"):
        views = views_of(spark, schema)
        for name in tables_of(spark, schema):
            if name in views:
                continue
            types = dict(spark.table(f"{schema}.{name}").dtypes)
            if name in told:
                kinds = personal_columns(told[name]) | {"user_id": "id"}
            else:
                kinds = dict.fromkeys(naming_columns(types), "id")
            by_kind = {
                kind: tuple(column for column in types if kinds.get(column) == kind)
                for kind in ("id", "text")
            }
            if any(by_kind.values()):
                is_delta = provider_of(spark, f"{schema}.{name}") == "delta"
                numbers = {id: types[id] for id in by_kind["id"] if types[id] != "string"}
                yield Place(f"{schema}.{name}", by_kind["id"], by_kind["text"], is_delta, numbers)


def nested_columns(spark: SparkSession, settings: Settings) -> Iterator[str]:
    """The columns of tables that others made in which a user may be, and is not looked for."""
    for schema in (settings.schema, f"{settings.schema}_ml"):
        for name in sorted({*tables_of(spark, schema)} - described().keys()):
            for column, kind in spark.table(f"{schema}.{name}").dtypes:
                if kind.startswith(NESTED):
                    yield f"`{column}` of {schema}.{name} ({kind.partition('<')[0]})"


def views_of(spark: SparkSession, schema: str) -> set[str]:
    """The views of a schema, none where there is no schema."""
    if not spark.catalog.databaseExists(schema):
        return set()
    shown = spark.sql(f"show views in {schema}").where("not isTemporary").collect()
    return {row["viewName"] for row in shown}


def naming_columns(types: dict[str, str]) -> list[str]:
    """The columns of a table of others that name a user; without one by its name, every text may.

    types: Spark's, by column.
    """
    named = [name for name in types if name.lower() in NAMING and not types[name].startswith(NO_ID)]
    return named or [name for name in types if types[name] == "string"]


def provider_of(spark: SparkSession, name: str) -> str:
    """What a table is stored as, such as delta or parquet."""
    return told_of(spark, name, "Provider").lower()


def told_of(spark: SparkSession, name: str, what: str) -> str:
    """What the catalogue says of a table: its Provider, Type or Location."""
    rows = spark.sql(f"describe table extended {name}").where(f"col_name = '{what}'").collect()
    # Columns of the same name come first.
    return rows[-1]["data_type"] or "" if rows else ""


def personal_columns(told: dict) -> dict[str, str]:
    """By column, how the YAML of a table says that it holds a person: id or text."""
    meta = {
        each["name"]: each.get("config", {}).get("meta", {}) for each in told.get("columns", [])
    }
    return {name: found["personal"] for name, found in meta.items() if "personal" in found}


def names(place: Place, user: User) -> str:
    """Whether a row is of the user, in SQL."""
    ids = ", ".join(map(literal, user.ids))
    texts = [
        identity(f"`{column}`", kind=place.numbers[column])
        if column in place.numbers
        else f"`{column}`"
        for column in place.ids
    ]
    found = [f"coalesce({text} in ({ids}), false)" for text in texts]
    return f"({' or '.join(found) or 'false'})"


def holds(place: Place, user: User) -> str:
    """Whether a row is of the user, or tells of the user, in SQL."""
    word = literal(user.word)
    told = [f"(`{each}` rlike {word} and {place.telling})" for each in place.texts]
    return " or ".join([names(place, user), *told])


def literal(text: str) -> str:
    """A text in SQL; Spark would put a setting in place of what a dollar begins."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'").replace("$", "\\u0024")
    return f"'{escaped}'"


def count(spark: SparkSession, place: Place, user: User) -> int:
    """How many rows hold the user."""
    return spark.sql(f"select count(*) as n from {place.name} where {holds(place, user)}").first()[
        "n"
    ]


def check_id(spark: SparkSession, places: list[Place], user: User) -> None:
    """Refuse the hash by which tables know a user: of that no build could recognize the user.

    Raises:
        BadInput: only the id as it was given is in the tables, and looks like such a hash.
    """
    given, stored = user.given, stored_id(user.given)
    if stored == given or not re.fullmatch("[0-9a-f]{32}", given):
        return
    places = [place for place in places if place.ids]
    is_there = {
        id: any(
            spark.sql(
                f"select 1 from {place.name} where {names(place, User(id, (id,)))} limit 1"
            ).collect()
            for place in places
        )
        for id in (given, stored)
    }
    if is_there[given] and not is_there[stored]:
        raise BadInput(
            f"{given} is what tables call a user: with SPARKIFY_USER_KEY give the id of the log, "
            "by which files name the user; if it is that, run `sparkify build --events PATH` first"
        )


def check_key(spark: SparkSession, settings: Settings, given: str) -> None:
    """Refuse tables of keyed hashes where no key is set: their user would stay, and come back.

    Raises:
        BadInput: every id of the tables looks like such a hash, and the given one does not.
    """
    name = settings.table(ROWS)
    is_one = re.fullmatch("[0-9a-f]{32}", given)
    if not key_digest() and not is_one and spark.catalog.tableExists(name):
        is_hash = "bool_and(user_id rlike '^[0-9a-f]{32}$')"
        if spark.sql(f"select {is_hash} from {name} where user_id is not null").first()[0]:
            raise BadInput(
                "the tables call users by keyed hashes: set the SPARKIFY_USER_KEY that they were "
                "built with"
            )


def check_reach(spark: SparkSession, settings: Settings, places: list[Place], user: User) -> None:
    """Refuse what would leave a trace: logs of tables elsewhere, views and files that name users.

    Raises:
        BadInput: it names the place.
    """
    rows = settings.table(ROWS)
    for place in places:
        is_yours = not place.is_delta and "EXTERNAL" in told_of(spark, place.name, "Type")
        if is_yours and count(spark, place, user):
            where = told_of(spark, place.name, "Location") or "elsewhere"
            raise BadInput(
                f"{place.name} refers to files of yours that name the user ({where}): take the "
                "user out of these, or drop the table, and erase the user then"
            )
        if place.is_delta and not log_of(spark, place.name):
            raise BadInput(
                f"the files of {place.name} are out of reach, and its history cannot be erased "
                "from here: run this where they are, or where the server ran, without it"
            )
    told = described()
    for schema in (settings.schema, f"{settings.schema}_ml"):
        for view in sorted(views_of(spark, schema) - told.keys()):
            text = spark.sql(f"show create table {schema}.{view}").first()[0]
            if re.search(user.word, text):
                raise BadInput(
                    f"the view {schema}.{view} names the user in its text: drop it, with `sparkify "
                    f'sql --write "drop view {schema}.{view}"`, and erase the user then, with '
                    "--anyway if nothing else names them"
                )
    if spark.catalog.tableExists(rows):
        # As in the macro event_field; 36.json is named for 36 too.
        decoded = "try_url_decode(try_url_decode(replace(source_file, '+', '%2B')))"
        word = literal(rf"{user.written}(?![^{ENDS}.])")
        named = spark.sql(
            f"select source_file from {rows} "
            f"where coalesce({decoded}, source_file) rlike {word} limit 1"
        ).first()
        if named:
            file = named["source_file"]
            # Of a folder such as userId=36 its rows may have the id from there alone.
            is_column = re.search(rf"={user.written}(?![^{ENDS}.])[^/]*/", unquote(unquote(file)))
            raise BadInput(
                f"{file} is named for the user, and tables name their files: "
                + ("take it out of the log" if is_column else "give it another name")
                + ", run `sparkify build --events PATH`, and erase the user then"
                + (", with --anyway if nothing else names them" if is_column else "")
            )


def erase_rows(spark: SparkSession, place: Place, user: User) -> None:
    """Take the user out of the current version of a table."""
    columns = spark.table(place.name).columns
    is_user, word = names(place, user), literal(user.word)
    # As in the macro without_erased.
    is_whole = place.is_of_rows and not user.is_word
    changed = {
        name: f"if({place.telling}, "
        + (f"'{MASK}'" if is_whole else f"regexp_replace(`{name}`, {word}, '{MASK}')")
        + f", `{name}`)"
        for name in place.texts
    }
    if place.is_of_rows:
        others = {name: changed.get(name, f"`{name}`") for name in columns if name not in KEPT}
        changed = {name: f"if({is_user}, null, {value})" for name, value in others.items()}
        changed["rejection_reason"] = f"if({is_user}, 'erased', rejection_reason)"
    if place.is_delta:
        if changed:
            sets = ", ".join(f"`{name}` = {value}" for name, value in changed.items())
            where = holds(place, user) + (f" or {place.telling}" if is_whole else "")
            spark.sql(f"update {place.name} set {sets} where {where}")
        if place.ids and not place.is_of_rows:
            spark.sql(f"delete from {place.name} where {is_user}")
        return
    # Plain Parquet has no row that can be changed: the table is written anew.
    selected = ", ".join(f"{changed.get(name, f'`{name}`')} as `{name}`" for name in columns)
    gone = "false" if place.is_of_rows else is_user
    kept = f"{place.name}{COPY}"
    spark.sql(
        f"create table {kept} using parquet as select {selected} from {place.name} where not {gone}"
    )
    spark.sql(f"insert overwrite table {place.name} select * from {kept}")
    spark.sql(f"drop table {kept}")


def restore(spark: SparkSession, settings: Settings) -> None:
    """Give a table of plain Parquet its rows back, of which an erasure that was killed has a copy.

    One that has as many rows was not begun, is whole again, or was built since.
    """
    for schema in (settings.schema, f"{settings.schema}_ml"):
        for copy in [name for name in tables_of(spark, schema) if name.endswith(COPY)]:
            name = f"{schema}.{copy.removesuffix(COPY)}"
            kept = spark.table(f"{schema}.{copy}")
            if spark.catalog.tableExists(name) and spark.table(name).count() < kept.count():
                spark.sql(f"insert overwrite table {name} select * from {schema}.{copy}")
            spark.sql(f"drop table {schema}.{copy}")


def forget_history(spark: SparkSession, name: str) -> None:
    """Delete every earlier version of a Delta table, and what its log tells of these.

    The log holds the least and the largest text of each file, and the predicates of statements.
    """
    rows = spark.sql(f"show tblproperties {name}").collect()
    kept = {*FORGETFUL, LOG_IS_KEPT}
    before = {row["key"]: row["value"] for row in rows if row["key"] in kept}
    # An erasure that was killed has left its own.
    before = {key: value for key, value in before.items() if value != FORGETFUL.get(key)}
    set_properties(spark, name, FORGETFUL)
    told = spark.sql(f"describe detail {name}").first()
    if {"deletionVectors", "columnMapping"} & {*told["tableFeatures"]}:
        # Rows and columns that are gone lie in the files until these are written anew.
        spark.sql(f"reorg table {name} apply (purge)")
    # A folder that is empty after the first time goes with the second: its name is a value.
    for _ in range(2 if told["partitionColumns"] else 1):
        spark.sql(f"vacuum {name} retain 0 hours")
    log = log_of(spark, name)
    last = max(version_of(file) for file in log if fnmatchcase(file, "*.checkpoint*.parquet"))
    for file, delete in log.items():
        # Hadoop answers where Python raises.
        if version_of(file) < last and delete() is False:
            raise BadInput(f"{file} in the log of {name} cannot be deleted: see who may")
    if unset := [f"'{each}'" for each in FORGETFUL if each not in before]:
        spark.sql(f"alter table {name} unset tblproperties ({', '.join(unset)})")
    if before.keys() & FORGETFUL:
        set_properties(spark, name, before)


def set_properties(spark: SparkSession, name: str, properties: dict[str, str]) -> None:
    """Set properties of a table."""
    pairs = ", ".join(f"'{key}' = '{value}'" for key, value in properties.items())
    spark.sql(f"alter table {name} set tblproperties ({pairs})")


def log_of(spark: SparkSession, name: str) -> dict[str, Callable]:
    """The files of a Delta table's log by name, each with what deletes it; none out of reach."""
    location = spark.sql(f"describe detail {name}").first()["location"]
    if has_remote():
        place = urlsplit(location)
        folder = Path(unquote(place.path), "_delta_log")
        if place.scheme not in ("", "file") or not folder.is_dir():
            return {}
        return {file.name: file.unlink for file in folder.iterdir() if file.is_file()}
    java, context = spark.sparkContext._jvm, spark.sparkContext._jsc
    folder = java.org.apache.hadoop.fs.Path(java.java.net.URI(f"{location}/_delta_log"))
    files = folder.getFileSystem(context.hadoopConfiguration())
    return {
        found.getPath().getName(): partial(files.delete, found.getPath(), False)
        for found in files.listStatus(folder)
        if found.isFile()
    }


def version_of(file: str) -> float:
    """The version that a file of a log is of, its checksum too; infinity of what is of none."""
    found = re.match(r"\.?(\d{20})\.", file)
    return int(found[1]) if found else float("inf")


def is_remembered(spark: SparkSession, settings: Settings, given: str) -> bool:
    """Whether a user is among those who are erased."""
    if not spark.catalog.tableExists(settings.table(ERASED)):
        return False
    known = spark.table(settings.table(ERASED)).where(f"key_digest = '{key_digest()}'").collect()
    return any(row["user_hash"] == hash_of(row["salt"], given) for row in known)


def remember(spark: SparkSession, settings: Settings, given: str) -> None:
    """Keep a hash of the user, by which the macro `is_erased` recognizes rows of old files."""
    name = settings.table(ERASED)
    # No build has made it in a schema of tables that others wrote.
    columns = [f"{each['name']} {each['data_type']}" for each in described()[ERASED]["columns"]]
    spark.sql(
        f"create table if not exists {name} ({', '.join(columns)}) using {settings.table_format}"
    )
    first = spark.table(name).select("salt").first()
    salt = first["salt"] if first else secrets.token_hex(16)
    row = {
        "user_hash": hash_of(salt, given),
        "salt": salt,
        "key_digest": key_digest(),
        "erased_at": now(),
        "is_word": User(given, (given,)).is_word,
    }
    append_pandas(spark, settings, pd.DataFrame([row]), name)


def hash_of(salt: str, given: str) -> str:
    """What is remembered of a user: see the macro `is_erased`."""
    return sha256(f"{salt}{stored_id(given)}".encode()).hexdigest()


def others(settings: Settings, given: str) -> dict[str, list[str]]:
    """The folders of a home with tables that an erasure does not reach, by the command that does.

    Every schema remembers by itself who is erased from it.
    """
    found: dict[str, list[str]] = {}
    places = [(settings.home / "warehouse", "local")]
    if settings.local_warehouse not in (None, places[0][0]):
        places.append((settings.local_warehouse, "local"))
    for warehouse, target in (*places, (settings.home / "parquet" / "warehouse", "parquet")):
        is_own = (target == "parquet") == (settings.target == "parquet")
        for folder in sorted(each for each in warehouse.glob("[!._]*") if each.is_dir()):
            is_schema = folder.name.endswith(".db")
            schema = re.sub(r"(_ml|_raw)?\.db$", "", folder.name) if is_schema else "default"
            is_seen = is_own and schema == settings.schema.lower()
            if not is_seen and any(each.is_file() for each in folder.rglob("*")):
                chosen = f"SPARKIFY_TARGET={target} SPARKIFY_SCHEMA={schema}"
                command = f"{chosen} sparkify erase --user {shlex.quote(given)}"
                is_below = folder.is_relative_to(settings.home)
                shown = folder.relative_to(settings.home) if is_below else folder
                found.setdefault(command, []).append(str(shown))
    return found


def strays(spark: SparkSession, settings: Settings) -> Iterator[Path]:
    """The folders of tables that the catalogue does not know, as after a metastore was lost.

    Of a session of this process: what a server has need not lie in this home.
    """
    is_parquet = settings.target == "parquet"
    warehouse = settings.home / "parquet" / "warehouse" if is_parquet else settings.local_warehouse
    for schema in (settings.schema, f"{settings.schema}_ml"):
        if warehouse and not has_remote() and (place := warehouse / f"{schema}.db").is_dir():
            known = {name.lower() for name in tables_of(spark, schema)}
            for folder in sorted(each for each in place.iterdir() if each.is_dir()):
                if folder.name.lower() not in known and any(folder.rglob("*.parquet")):
                    yield folder


def show(settings: Settings, given: str, counts: dict[str, int], done: list) -> None:
    """A row a table and a file, and what that means for what comes."""
    columns = {"table or file": "left", "erased": "right"}
    files = [(str(file.relative_to(settings.home)), said) for file, said in done]
    table("Erased", columns, [*((name, plural(n, "row")) for name, n in counts.items()), *files])
    line()
    line(
        f"User {given} is erased: {plural(sum(counts.values()), 'row')} of "
        f"{plural(len(counts), 'table')}, with every earlier version. No build of this schema "
        "brings the user back, --full-refresh neither."
    )
    for command, folders in others(settings, given).items():
        line(
            f"Not looked at: {', '.join(folders)}, which hold tables of another schema or target. "
            f"Give `{command}` too."
        )
    if unknown := unknown_files(settings.home):
        names = ", ".join(file.relative_to(settings.home).as_posix() for file in unknown)
        line(f"Not looked at, for no rule fits: {names}. Take the user out of these yourself.")
    line(
        "The files of the log are yours and stay as they are, as does what you wrote elsewhere "
        f"than in {settings.home}: take the user out of these yourself."
    )
    line(
        settings.addressed(
            "Totals over users are made anew by the next `sparkify build --events PATH`, the page "
            "by `sparkify report`. Models that learned from the user too stay: "
            "`sparkify train` makes one that did not, and `sparkify models promote VERSION` puts "
            "it into use where newer data has not."
        )
    )
