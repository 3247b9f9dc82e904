"""A table of the user's own: what it is, whether all of it can be read, and how it is read."""

import csv
import gzip
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import count, islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import LongType, StringType, StructField, StructType

from sparkify.errors import BadInput, first_line
from sparkify.events import SPARKS_NOTE, check_note, check_types, value_type
from sparkify.remote import is_gone
from sparkify.settings import Settings
from sparkify.versions import history

CSV_NAME = re.compile(r"\.(csv|tsv|tab|txt)(\.gz)?$", re.IGNORECASE)
CSV_TAB = re.compile(r"\.(tsv|tab)(\.gz)?$", re.IGNORECASE)
FILE_NAME = re.compile(r"\.(parquet|pq|csv|tsv|tab|txt|gz|json|xlsx?|zip)$", re.IGNORECASE)
TABLE_NAME = re.compile(r"\w+(\.\w+){0,2}")
PARTITION = re.compile(r"[^=]+=.*")
# Where a file may be read with several, the comma is last: it stands in numbers and in texts.
SEPARATORS = {"\t": "a tab", ";": "a semicolon", "|": "a |", ",": "a comma"}
# Records from which the separator is told.
SAMPLE = 20
GZIP, PARQUET, ZIP = b"\x1f\x8b", b"PAR1", b"PK\x03\x04"
LINE_ENDS = {"\n": "LF", "\r\n": "CRLF", "\r": "CR"}
# Of a quotation mark that is not closed the rest of the file would be one field.
LONGEST_FIELD = 2**24
TIMES = ("string", "date", "timestamp", "timestamp_ntz")
NANOS_AS_LONG = "spark.sql.legacy.parquet.nanosAsLong"
# Against settings of a session or a server, by which a damaged file is a shorter one.
WHOLE = {"ignoreCorruptFiles": "false", "ignoreMissingFiles": "false"}


@dataclass(frozen=True)
class Source:
    """What was given, and as what it is read: parquet, csv, delta or table.

    separator, columns: of a CSV file. version: of a Delta table, once `pinned` has asked for it.
    """

    given: str
    kind: str
    separator: str = ","
    columns: tuple[str, ...] = ()
    version: int | None = None


def find_source(given: str) -> Source:
    """What a path or the name of a table stands for; reads the files, but needs no Spark.

    A path is taken as it stands: `*` or `[` in it is a character like others.

    Raises:
        BadInput: nothing is there, or it is no Parquet, CSV or Delta that can be read whole.
    """
    path = Path(given)
    try:
        if not path.exists():
            if TABLE_NAME.fullmatch(given) and not FILE_NAME.search(given):
                return Source(given, "table")
            raise BadInput(f"no table at {given}: there is no such file or folder")
        _check_name(path)
        if path.is_dir():
            return Source(given, _folder_kind(path))
        return _file_source(path, given)
    except OSError as error:
        raise BadInput(f"{given} cannot be read: {error.strerror or error}") from error


def check_columns(
    source: Source, *, id: str, label: str | None = None, time: str | None = None
) -> None:
    """Refuse columns that are not apart, or that a CSV file has not; needs no Spark.

    Raises:
        TableMismatch: it names the column.
    """
    from ml.errors import TableMismatch
    from ml.table_spec import check_named

    given = {"id": id, "label": label, "time": time}
    given = {role: name for role, name in given.items() if name is not None}
    if len(set(given.values())) < len(given):
        raise TableMismatch("id, label and time must be different columns.")
    for role, name in given.items():
        if source.kind == "csv":
            check_named(dict.fromkeys(source.columns), name, role=role)


def pinned(spark: SparkSession, settings: Settings, source: Source) -> Source:
    """`source` with its version of now, if it is a Delta table: what is written later is not read.

    Raises:
        BadInput: its history cannot be read.
    """
    from ml.preprocessing import quote

    if settings.table_format != "delta":
        return source
    with _spark_reads(source):
        if source.kind == "delta":
            table = f"delta.{quote(str(Path(source.given).resolve()))}"
        elif source.kind == "table" and _is_delta(spark, source.given):
            table = source.given
        else:
            return source
        return replace(source, version=history(spark, table, limit=1)[0]["version"])


def read(spark: SparkSession, settings: Settings, source: Source) -> DataFrame:
    """The rows of a table, with its own types; of a CSV file all columns are text.

    Raises:
        BadInput: Spark cannot read it, there is no such table, or it has no rows.
    """
    with _spark_reads(source):
        rows = _open(spark, settings, source)
        # As those of CSV: who names a column names it without the blanks around it.
        rows = rows.toDF(*(name.strip() or name for name in rows.columns))
        is_empty = rows.isEmpty()
    _check_names(source.given, rows.columns)
    if is_empty:
        raise BadInput(f"{source.given} has no rows")
    return rows


@contextmanager
def readable(given: str) -> Iterator[None]:
    """Say in one sentence what a Spark job says of a file that it cannot read to its end."""
    try:
        yield
    except (PySparkException, Py4JError) as error:
        if found := re.search(r"\[FAILED_READ_FILE[^\n]*", str(error)):
            raise BadInput(f"{given} is damaged: {found.group(0)}") from error
        raise


def prepare(rows: DataFrame, *, id: str, time: str | None = None) -> DataFrame:
    """`rows` with the id as text, 17 for 17.0, and a time as a date, in UTC if it has an offset.

    Raises:
        TableMismatch: a column is missing, the id is of a type that names nobody, or is rounded, or
            a time is no date.
    """
    from ml.errors import TableMismatch
    from ml.parsing import EXACT_BELOW, identity, is_given, text
    from ml.preprocessing import quote
    from ml.table_spec import check_named

    types = dict(rows.dtypes)
    for name, role in ((id, "id"), (time, "time")):
        if name is not None:
            check_named(types, name, role=role)
    if re.match(r"array|map|struct|binary|boolean|variant", types[id]):
        raise TableMismatch(f"Id `{id}` is {types[id]}; it must be text or a number.")
    if limit := EXACT_BELOW.get(types[id]):
        rounded = rows.filter(f"abs({quote(id)}) >= {limit} and not isnan({quote(id)})")
        found = rounded.selectExpr(f"cast({quote(id)} as string) as value").first()
        if found is not None:
            raise TableMismatch(
                f"Id `{id}` holds `{found['value']}`, and is {types[id]}, which rounds numbers as "
                "large as that: write it as text, from where it is not rounded yet."
            )
    values = {name: quote(name) for name in rows.columns}
    values[id] = identity(quote(id), kind=types[id])
    if time is not None and types[time] in TIMES:
        given = text(quote(time))
        # As a date Spark takes whatever begins with one, and leaves an offset out; as a moment, in
        # UTC, it takes times of today as well, and no zone behind minutes.
        seconds = f"regexp_replace({given}, '([T ][0-9]{{1,2}}:[0-9]{{2}})(?=[Z +-])', '$1:00')"
        moment = f"cast(try_cast({seconds} as timestamp) as date)"
        date = f"if(try_cast({given} as date) is null, null, {moment})"
        # Of 202401 Spark makes a year, which Python has not; pandas has no others than these.
        wrong = f"not coalesce(year({date}) between 1678 and 2261, false)"
        found = rows.filter(f"{is_given(quote(time))} and {wrong}")
        found = found.selectExpr(f"cast({quote(time)} as string) as value").first()
        if found is not None:
            raise TableMismatch(
                f"Time `{time}` holds `{found['value']}`; write dates as 2024-12-31."
            )
        values[time] = date
    return rows.selectExpr(*(f"{value} as {quote(name)}" for name, value in values.items()))


def check_users(rows: DataFrame, *, id: str, time: str | None = None) -> None:
    """Raise TableMismatch if a row has no id, or that of another row (of its time, if it has one).

    One Spark job.
    """
    from ml.table_spec import key_counts, refuse_keys

    keys = [id, time] if time in rows.columns else [id]
    refuse_keys(rows, keys, rows.agg(*key_counts(rows, keys)).first().asDict())


def literal(path: Path) -> str:
    """The absolute path with what Spark would take for a pattern escaped."""
    return re.sub(r"([\[\]{}*?\\])", r"\\\1", str(path.resolve()))


@contextmanager
def _spark_reads(source: Source) -> Iterator[None]:
    """Say in one line why Spark cannot read a table."""
    try:
        yield
    except (PySparkException, Py4JError) as error:
        if is_gone(error):
            raise
        reason = first_line(str(error))
        raise BadInput(f"{source.given} cannot be read: {reason}") from error


def _is_delta(spark: SparkSession, name: str) -> bool:
    """Whether a name of the catalogue is a Delta table; a view over one is not."""
    if not spark.catalog.tableExists(name):
        return False
    told = spark.sql(f"describe table extended {name}").filter("col_name = 'Provider'").first()
    return told is not None and told["data_type"] == "delta"


def _open(spark: SparkSession, settings: Settings, source: Source) -> DataFrame:
    path = Path(source.given)
    version = {} if source.version is None else {"versionAsOf": source.version}
    if source.kind == "table":
        if not spark.catalog.tableExists(source.given):
            raise BadInput(
                f"no table {source.given}: there is no such file or folder, nor such a table in "
                "the catalogue"
            )
        return spark.read.options(**version).table(source.given)
    if source.kind == "delta":
        if settings.table_format != "delta":
            raise BadInput(
                f"{source.given} is a Delta table, which the target {settings.target} cannot read: "
                "do without --target and SPARKIFY_TARGET (with the Delta Lake jars, which "
                "`sparkify setup` fetches), or give it as Parquet"
            )
        return spark.read.format("delta").options(**version).load(str(path.resolve()))
    if source.kind == "csv":
        schema = StructType([StructField(name, StringType()) for name in source.columns])
        return spark.read.options(**WHOLE).csv(
            literal(path),
            schema=schema,
            sep=source.separator,
            header=True,
            escape='"',
            multiLine=True,
            mode="FAILFAST",
        )
    return _open_parquet(spark, path)


def _open_parquet(spark: SparkSession, path: Path) -> DataFrame:
    """Rows of Parquet; what its folders are named for is text, so that zip=02134 stays one.

    pandas writes nanoseconds, which Spark reads as whole numbers only: here they are times.
    """
    from ml.preprocessing import quote

    kept = spark.conf.get(NANOS_AS_LONG)
    spark.conf.set(NANOS_AS_LONG, "true")
    try:
        schema = spark.read.parquet(literal(path)).schema
    finally:
        spark.conf.set(NANOS_AS_LONG, kept)
    files = [path] if path.is_file() else _data_files(path)
    if path.is_dir():
        of_folders = {
            step.partition("=")[0].lower() for step in files[0].relative_to(path).parts[:-1]
        }
        schema = StructType(
            [
                StructField(each.name, StringType()) if each.name.lower() in of_folders else each
                for each in schema
            ]
        )
    times = {each.name for each in pq.read_schema(files[0]) if pa.types.is_timestamp(each.type)}
    nanos = {
        each.name for each in schema if each.name in times and isinstance(each.dataType, LongType)
    }
    rows = spark.read.schema(schema).options(**WHOLE).parquet(literal(path))
    return rows.selectExpr(
        *(
            f"timestamp_micros({quote(name)} div 1000) as {quote(name)}"
            if name in nanos
            else quote(name)
            for name in rows.columns
        )
    )


def _check_name(path: Path) -> None:
    """Refuse a name that Spark passes over or cannot open."""
    # A folder above may have one, as long as nothing is escaped.
    if ":" in path.name or (":" in str(path.resolve()) and literal(path) != str(path.resolve())):
        raise BadInput(f"{path} has a colon in its name, which Spark cannot open: rename it")
    if path.is_file() and path.name.startswith((".", "_")):
        raise BadInput(
            f"{path} has a name that begins with {path.name[0]}, which Spark passes over: rename it"
        )


def _folder_kind(folder: Path) -> str:
    """delta or parquet; all that Spark would read of it is one or the other."""
    if (folder / "_delta_log").is_dir():
        return "delta"
    files = _data_files(folder)
    if not files:
        raise BadInput(f"{folder} holds no files")
    for file in files:
        if not _is_parquet(file):
            raise BadInput(
                f"{file} is not Parquet: a folder must hold nothing else; move it away, or give "
                "one file"
            )
        _check_name(file)
        steps = file.relative_to(folder).parts[:-1]
        if passed := [step for step in steps if not PARTITION.fullmatch(step)]:
            raise BadInput(
                f"{folder} holds a folder {passed[0]}, which Spark passes over: give that folder, "
                "or name it column=value"
            )
    if len({len(file.relative_to(folder).parts) for file in files}) > 1:
        raise BadInput(f"{folder} holds files both beside and inside its folders: keep one kind")
    schemas = [_parquet_schema(file) for file in files]
    for file, schema in zip(files, schemas, strict=True):
        names = {name.lower(): name for name in schema}
        for step in file.relative_to(folder).parts[:-1]:
            if name := names.get(step.partition("=")[0].lower()):
                raise BadInput(
                    f"{file} has a column `{name}`, and Spark would read {step}, the name of its "
                    "folder, in its place: rename one"
                )
    for file, schema in zip(files[1:], schemas[1:], strict=True):
        for name in [*schemas[0], *schema]:
            if schemas[0].get(name) != schema.get(name):
                raise BadInput(
                    f"{file} has {_typed(name, schema)}, and {files[0].name} has "
                    f"{_typed(name, schemas[0])}: write all files with the same columns"
                )
    return "parquet"


def _file_source(path: Path, given: str) -> Source:
    """The kind of a file, by its name and first bytes."""
    if not path.is_file():
        raise BadInput(f"{given} is no file that can be read twice: give one")
    with path.open("rb") as file:
        head = file.read(4)
    if not head:
        raise BadInput(f"{given} is empty")
    if head == PARQUET or path.suffix.lower() in (".parquet", ".pq"):
        if not _is_parquet(path):
            raise BadInput(f"{given} is not Parquet, whatever its name, or its end is missing")
        _parquet_schema(path)
        return Source(given, "parquet")
    if head == ZIP:
        raise BadInput(f"{given} is a zip file or a workbook: export the table as CSV")
    if not CSV_NAME.search(path.name):
        raise BadInput(
            f"{given} is neither Parquet nor, by its name, CSV: give a Parquet file, a CSV file "
            "whose name ends in .csv or .csv.gz, a Delta folder, or a table as schema.table"
        )
    if (head[:2] == GZIP) != (path.suffix.lower() == ".gz"):
        state = "is compressed" if head[:2] == GZIP else "is not compressed"
        raise BadInput(f"{given} {state}, and its name says otherwise: rename it")
    separator, columns = _check_csv(path)
    _check_names(given, columns)
    return Source(given, "csv", separator, columns)


def _data_files(folder: Path) -> list[Path]:
    """The files that Spark does not pass over, in order."""
    return sorted(
        file
        for file in folder.rglob("*")
        if file.is_file()
        and not any(
            step.startswith(".") or (step.startswith("_") and "=" not in step)
            for step in file.relative_to(folder).parts
        )
    )


def _is_parquet(file: Path) -> bool:
    """Whether a file begins and ends as Parquet does."""
    with file.open("rb") as opened:
        head = opened.read(4)
        opened.seek(max(0, file.stat().st_size - 4))
        return head == PARQUET == opened.read(4) and file.stat().st_size > 8


def _parquet_schema(file: Path) -> dict[str, pa.DataType]:
    """The columns of a Parquet file.

    Raises:
        BadInput: it is damaged, or a name repeats, or Spark cannot read a type.
    """
    try:
        footer = pq.read_metadata(file)
        schema = footer.schema.to_arrow_schema()
    except (pa.ArrowException, UnicodeDecodeError) as error:
        raise BadInput(f"{file} cannot be read as Parquet: {first_line(str(error))}") from error
    _check_names(str(file), schema.names)
    check_types(file, footer.schema, schema)
    check_note(file, (footer.metadata or {}).get(SPARKS_NOTE), footer.schema)
    return {field.name: value_type(field.type) for field in schema}


def _typed(name: str, schema: dict[str, pa.DataType]) -> str:
    return f"`{name}` as {schema[name]}" if name in schema else f"no `{name}`"


def _check_names(given: str, names: list[str] | tuple[str, ...]) -> None:
    """Refuse columns that Spark takes for one, as it does not tell upper from lower case."""
    seen: dict[str, str] = {}
    for name in names:
        if (other := seen.setdefault(name.lower(), name)) != name or names.count(name) > 1:
            raise BadInput(
                f"{given} has two columns `{other}` and `{name}`, which Spark does not tell apart: "
                "rename one"
            )


def _find_separator(file: io.TextIOWrapper, header: str, *, is_tab: bool) -> str:
    """The separator by which most of the first records have as many fields as the header.

    Without one, that by which the header has the most. is_tab: the file's name says so.
    """
    ranks = {}
    for each in SEPARATORS:
        file.seek(0)
        try:
            records = csv.reader(file, delimiter=each, strict=True)
            counts = [len(fields) for fields in islice(records, SAMPLE) if fields]
        except csv.Error:
            counts = []
        width = counts[0] if counts else len(next(csv.reader([header], delimiter=each)))
        is_even = width > 1 and 2 * counts.count(width) > len(counts)
        ranks[each] = is_even, is_even and is_tab and each == "\t", is_even and each != ",", width
    return max(ranks, key=ranks.get)


def _check_csv(path: Path) -> tuple[str, tuple[str, ...]]:
    """The separator and the columns of a CSV file, every line of which is read once.

    Raises:
        BadInput: it is not UTF-8, has no separator, or a line has more or fewer fields than the
            header, or ends in another way.
    """
    open_file = gzip.open if path.suffix.lower() == ".gz" else open
    csv.field_size_limit(LONGEST_FIELD)
    line = 0
    try:
        with open_file(path, "rb") as raw:
            file = io.TextIOWrapper(raw, encoding="utf-8-sig", newline="")
            header = file.readline()
            if "\0" in header:
                raise BadInput(f"{path} is not text: export it as CSV in UTF-8")
            if not header.strip() or header.startswith("sep="):
                raise BadInput(
                    f"{path} does not begin with the names of its columns: put them first"
                )
            separator = _find_separator(file, header, is_tab=CSV_TAB.search(path.name) is not None)
            file.seek(0)
            last = ""

            def with_ends() -> Iterator[str]:
                nonlocal last
                for text in file:
                    # Spark leaves it out, and a\0 and a would be one.
                    if "\0" in text:
                        raise BadInput(f"{path} holds a NUL: export it as CSV in UTF-8")
                    last = text
                    yield text

            lines = csv.reader(with_ends(), delimiter=separator, strict=True)
            names = next(lines)
            first_end = _line_end(last)
            if broken := next((name for name in names if re.search(r"[\r\n]", name)), None):
                raise BadInput(
                    f"{path} has a column whose name is of several lines, {broken!r}: rename it"
                )
            if len(names) < 2:
                raise BadInput(
                    f"{path} has one column: separate columns by a comma, semicolon, tab or |"
                )
            for fields in lines:
                line = lines.line_num
                # Spark takes the first for that of all lines.
                if _line_end(last) not in ("", first_end):
                    raise BadInput(
                        f"line {line} of {path} ends in {LINE_ENDS[_line_end(last)]} and the "
                        f"header in {LINE_ENDS[first_end]}: save it with one kind of line end"
                    )
                if fields and len(fields) != len(names):
                    raise BadInput(
                        f"line {line} of {path} has {len(fields)} fields and the header has "
                        f"{len(names)}, with {SEPARATORS[separator]} between them: quote texts "
                        "that hold one"
                    )
    except UnicodeDecodeError as error:
        raise BadInput(
            f"{path} is not UTF-8 (after line {line}): save it as CSV in UTF-8"
        ) from error
    except (csv.Error, StopIteration) as error:
        unclosed = "; is a quotation mark not closed?" if "field larger" in str(error) else ""
        raise BadInput(f"{path} is not CSV (after line {line}): {error}{unclosed}") from error
    except (EOFError, gzip.BadGzipFile) as error:
        raise BadInput(f"{path} is cut short or damaged: {error}") from error
    return separator, _named(names)


def _named(header: list[str]) -> tuple[str, ...]:
    """The names of a CSV file; what has none is called as pandas calls it, whose index is first."""
    names = [name.strip() for name in header]
    taken = {name.lower() for name in names}
    for i, name in enumerate(names):
        if not name:
            free = (f"Unnamed: {i}" + f".{n}" * (n > 0) for n in count())
            names[i] = next(each for each in free if each.lower() not in taken)
    return tuple(names)


def _line_end(line: str) -> str:
    """What a line ends in; nothing where it is the last one, and is left open."""
    return line[len(line.rstrip("\r\n")) :]
