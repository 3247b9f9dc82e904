"""What lies at a path of events, found out before Spark reads it."""

import bz2
import gzip
import json
import os
import re
import stat
import zlib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import BinaryIO, NoReturn
from unicodedata import category
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq

from sparkify.errors import BadInput

# What marks a folder that `sparkify simulate` wrote.
SIMULATION = "simulation.json"
PARQUET = (".parquet", ".parq", ".pq")
MAGIC = b"PAR1"
# What other programs leave beside the files they write.
SUMMARIES = ("_metadata", "_common_metadata")
MARKERS = re.compile(
    r"_SUCCESS|_(committed|started)_\d+|\.DS_Store|" + "|".join(SUMMARIES) + r"|\..+\.crc"
)
# How files that are packed begin. Of the first three Spark reads what they hold, by their names.
PACKED = {
    ".gz": (b"\x1f\x8b",),
    ".bz2": (b"BZh",),
    ".zst": (b"\x28\xb5\x2f\xfd", *(bytes([0x50 + i]) + b"\x2a\x4d\x18" for i in range(16))),
    ".lz4": (b"\x04\x22\x4d\x18", b"\x02\x21\x4c\x18"),
    ".xz": (b"\xfd7zXZ",),
    ".zip": (b"PK\x03\x04",),
    ".7z": (b"7z\xbc\xaf",),
    ".z": (b"\x1f\x9d",),
    ".lzo": (b"\x89LZO",),
    ".lzma": (b"\x5d\x00\x00",),
    ".sz": (b"\xff\x06\x00\x00sNaPpY",),
    ".zlib": (b"\x78\x01", b"\x78\x9c", b"\x78\xda"),
}
READ = (".gz", ".bz2", ".zst")
# Other endings that the same are given; not every reader knows them.
ALSO_CALLED = (".gzip", ".bzip2", ".zstd")
OPENERS = {".gz": gzip.open, ".bz2": bz2.open, ".zst": partial(pa.input_stream, compression="zstd")}
# Of others with these names Spark reads nothing, and says nothing, or letters for rows.
NOT_READ = (".lz4", ".snappy", ".hsnappy", ".deflate", ".br")
# How files begin that hold rows, and are neither text nor Parquet.
OTHER_FORMATS = {
    "Avro": (b"Obj\x01",),
    "ORC": (b"ORC",),
    "Arrow": (b"ARROW1", b"FEA1", b"\xff\xff\xff\xff"),
    "a Hadoop sequence file": (b"SEQ\x04", b"SEQ\x05", b"SEQ\x06"),
    "a pickle of Python": tuple(bytes([0x80, version]) for version in range(2, 6)),
    "HDF5": (b"\x89HDF\r\n",),
    "SQLite": (b"SQLite format 3\0",),
}
# What a tar archive has at this place.
TAR_MARK = 257, (b"ustar\0", b"ustar  \0")
# What follows the head of a bz2 file: a block, or its end, which is followed by 32 bits of checksum
# and begins at any bit.
BZ2_END = bytes.fromhex("177245385090")
BZ2_BLOCKS = (bytes.fromhex("314159265359"), BZ2_END)
# The bytes of a zstd frame's size of content and of its dictionary's id, by what its head says.
ZSTD_SIZES, ZSTD_IDS = (0, 2, 4, 8), (0, 1, 2, 4)
HEAD_BYTES = 265
# The folder by which a table is known that keeps files of its past beside those of now, and what
# lies in it, where others have folders of that name too.
TABLES = {
    "_delta_log": ("Delta", ""),
    ".hoodie": ("Hudi", ""),
    "metadata": ("Iceberg", "*[0-9]*.metadata.json"),
}
MARKS = {*TABLES}
ARCHIVE = re.compile(r"\.(tgz|tar|tar\.\w+)$", re.IGNORECASE)
MAX_FORMS = 100
# What is read of a row, in lower case, as the macro `event_fields` has it.
FIELDS = {
    *("ts", "userid", "sessionid", "page", "auth", "method", "status", "level", "iteminsession"),
    *("location", "useragent", "registration", "gender", "artist", "song", "length"),
}
# Types of Parquet that Spark has no type for.
UNREADABLE = ("TIME", "UUID", "FLOAT16", "INTERVAL")
# How Spark does not read the values of a column packed or encoded.
UNREAD_CODECS = ("BROTLI", "LZO")
UNREAD_ENCODING = "BYTE_STREAM_SPLIT"
# Spark counts in microseconds, in 64 bits: of a time further from 1970 it would end the run.
MAX_MS = 2**63 // 1000
# Under this name Spark writes into a Parquet file which columns it has, and believes it.
SPARKS_NOTE = b"org.apache.spark.sql.parquet.row.metadata"
# The times of old Parquet files, which Arrow does not tell from others.
INT96 = "INT96"
# What columns are to Arrow that the note calls so.
NOTED = {
    "string": ("string", "large_string", "string_view", "binary"),
    "binary": ("binary", "large_binary", "binary_view", "string", "large_string", "string_view"),
    "byte": ("int8",),
    "short": ("int16", "int8"),
    "integer": ("int32", "int16", "int8"),
    "long": ("int64", "int32", "int16", "int8"),
    "float": ("float",),
    "double": ("double", "float"),
    "boolean": ("bool",),
    "date": ("date32[day]",),
    "timestamp": ("timestamp[us, tz=UTC]", "timestamp[ms, tz=UTC]", INT96),
    "timestamp_ntz": ("timestamp[us]", "timestamp[ms]"),
}
DECIMAL = re.compile(r"decimal(\d*)\((\d+), ?(-?\d+)\)")
MAX_DECIMAL_DIGITS = 38
# Java leaves these as they are in the path of a URI, and encodes all other ASCII.
URI_SAFE = "/-_.!~*'():@&=+$,;"


@dataclass
class Form:
    """Parquet files whose columns have the same types; `listed`: those to be named one by one."""

    sample: Path
    nanoseconds: list[str]
    listed: list[Path] = field(default_factory=list)


@dataclass(frozen=True)
class Found:
    """Where events are: an absolute path, its files, and those that Spark passes over."""

    path: Path
    files: list[Path]
    passed_over: list[Path]


def local_path(events: str) -> Path | None:
    """Where events lie on this machine, by a path or a URI; None of a URI of another place.

    What follows `file:` is taken literally, as every path is.

    Raises:
        BadInput: of a place whose files can be fetched one by one alone.
    """
    if re.match("(https?|s?ftp)://", events):
        raise BadInput(f"{events} is no folder that Spark can read: download it first")
    if re.match("file:/(//)?(?!/)", events):
        rest = events.removeprefix("file:")
        return Path(rest.removeprefix("//")) if rest.startswith("///") else Path(rest)
    return None if "://" in events else Path(events)


def find_files(path: Path) -> Found:
    """The files of a folder at any depth, or the one file that `path` is.

    Spark passes over names that begin with `.` or `_`; what other programs leave beside the files
    they write does not count among those.

    Raises:
        BadInput: nothing is there, or nobody may look, a table of Delta, Hudi or Iceberg or a part
            of one, a simulation with its truth, a link to nothing, or a file whose name is not
            UTF-8.
    """
    try:
        if not path.exists():
            raise BadInput(f"no events at {path}: there is no such file or folder")
    except OSError as error:
        refuse(error)
    # As it was named: the name of a link may say how a file is packed, or a column's value.
    parts = path.absolute().parts
    # What lies above a link is above what it leads to.
    up = len(parts) - parts[::-1].index("..") if ".." in parts else 0
    path = Path(*parts[:up]).resolve().joinpath(*parts[up:]) if up else Path(*parts)
    for above in (*path.parents, *path.resolve().parents):
        refuse_table(above)
    if (path / SIMULATION).is_file() and (path / "events").is_dir():
        raise BadInput(
            f"{path} holds a simulation with its truth, which is no log: give {path / 'events'}"
        )
    if not path.is_dir():
        if is_hidden(Path(path.name)):
            raise BadInput(f"{path} has a name that Spark passes over: rename it")
        check_file(path)
        return Found(path, [path], [])
    files, passed_over = walk(path)
    for file in files:
        check_file(file)
    if not files:
        hidden = f" but {passed_over[0].name}, which Spark passes over" if passed_over else ""
        raise BadInput(f"no events at {path}: the folder holds no files{hidden}")
    return Found(path, files, passed_over)


def walk(folder: Path) -> tuple[list[Path], list[Path]]:
    """The files below a folder that Spark reads, and those that it passes over."""
    files, passed_over = [], []

    def refuse_unless_hidden(error: OSError) -> None:
        if not is_hidden(Path(error.filename).relative_to(folder)):
            refuse(error)

    for name, folders, names in os.walk(folder, followlinks=True, onerror=refuse_unless_hidden):
        if MARKS & {*folders}:
            refuse_table(Path(name))
        for each in [*folders]:
            below = Path(name, each)
            if leads_upwards(below):
                if not is_hidden(below.relative_to(folder)):
                    raise BadInput(f"{below} is a link to a folder that it lies in: take it away")
                folders.remove(each)
                continue
            refuse_summaries(below)
        hidden = is_hidden(Path(name).relative_to(folder))
        for each in names:
            file = Path(name, each)
            if not hidden and not is_hidden(Path(each)) and not each.endswith("._COPYING_"):
                files.append(file)
            elif not MARKERS.fullmatch(each):
                passed_over.append(file)
    return sorted(files), sorted(passed_over)


def leads_upwards(folder: Path) -> bool:
    """Whether it is a link to a folder above it, below which all lies once more, without end."""
    return folder.is_symlink() and folder.parent.resolve().is_relative_to(folder.resolve())


def refuse(error: OSError) -> NoReturn:
    """Stop at what cannot be read: it would be missing without a word."""
    raise BadInput(
        f"{error.filename} cannot be read ({error.strerror}); mend it, or take it away"
    ) from error


def size_of(file: Path) -> int:
    """The bytes of a file that was found just now.

    Raises:
        BadInput: it is there no more, or may not be looked at.
    """
    try:
        return file.stat().st_size
    except OSError as error:
        return refuse(error)


def check_file(file: Path) -> None:
    """Refuse a link to nothing, and a name that is not UTF-8: Spark would pass over either.

    Whoever reads what is no file, such as a pipe, waits for ever.
    """
    try:
        str(file).encode()
        if not stat.S_ISREG(file.stat().st_mode):
            raise BadInput(f"{file} is no file that can be read twice; take it away")
    except OSError as error:
        refuse(error)
    except UnicodeEncodeError:
        shown = str(file).encode(errors="surrogateescape").decode(errors="backslashreplace")
        raise BadInput(f"{shown} has a name that is not UTF-8: rename it") from None


def is_hidden(path: Path) -> bool:
    """Whether Spark passes over a folder or file: not where it is called as a column is, `_day=1`.

    path: below the folder that is read.
    """
    return any(
        part.startswith(".") or part.startswith("_") and "=" not in part for part in path.parts
    )


def refuse_summaries(folder: Path) -> None:
    """Stop at a folder that is called as Parquet's summaries are, for Spark reads its files."""
    if folder.name.startswith(SUMMARIES):
        raise BadInput(f"{folder} has a name that only files of Parquet have: rename it")


def refuse_table(folder: Path) -> None:
    """Stop at the folder of a table, whose files are not all of now."""
    for mark, (kind, content) in TABLES.items():
        if (folder / mark).is_dir() and (not content or any((folder / mark).glob(content))):
            raise BadInput(
                f"{folder} is a table of {kind}, whose files hold rows of its past too; export it "
                "first: spark.table(...).write.parquet(...)"
            )


def find_forms(files: list[Path], *, all_parquet: bool = False) -> list[Form]:
    """The Parquet files by the types of their columns, from their footers; most files first.

    `all_parquet`: files are Parquet whatever they are called.

    Raises:
        BadInput: a file is called Parquet or packed and is not, or the other way round, or has
            columns that differ by case alone.
    """
    by_types: dict[tuple, list[tuple[Path, bool]]] = defaultdict(list)
    for file, named in parquet_files(files, all_parquet=all_parquet):
        by_types[types_of(file)].append((file, named))
    if len(by_types) > MAX_FORMS:
        raise BadInput(
            f"the Parquet files have {len(by_types)} different sets of column types, more than "
            f"{MAX_FORMS}; write them anew with one"
        )
    groups = sorted(by_types.items(), key=lambda item: (-len(item[1]), item[1][0]))
    return [
        Form(
            sample=members[0][0],
            nanoseconds=[name for name, *_, unit in types if unit == "ns"],
            # Those of the first form are all that bear the name and stand in no other list.
            listed=[file for file, named in members if place or not named],
        )
        for place, (types, members) in enumerate(groups)
    ]


def parquet_files(files: list[Path], *, all_parquet: bool) -> Iterator[tuple[Path, bool]]:
    """The files that are Parquet, and whether their name says so."""
    for file in files:
        named = all_parquet or file.name.lower().endswith(PARQUET)
        try:
            with file.open("rb") as content:
                head = content.read(HEAD_BYTES)
                is_parquet = head.startswith(MAGIC)
                is_empty = content.seek(0, os.SEEK_END) == 0
        except OSError as error:
            refuse(error)
        if named and not is_parquet and not is_empty:
            raise BadInput(
                f"{file} is called Parquet, but its content is not; "
                "give it the name of what it is, or take it away"
            )
        if is_parquet:
            yield file, file.name.lower().endswith(PARQUET)
        elif not is_empty:
            check_packing(file, head)


def check_packing(file: Path, head: bytes) -> None:
    """Refuse a file that is packed otherwise than its name says, or as Spark does not unpack.

    head: its first HEAD_BYTES.
    """
    name, kind = file.suffix.lower(), kind_of(head)
    archive = ARCHIVE.search(file.name)
    # What is to be taken off the name, unless the content is refused.
    ending = archive[0] if archive else file.suffix if name in ALSO_CALLED else ""
    if name in NOT_READ or kind not in ("", *READ):
        if archive:
            raise BadInput(f"{file} is an archive: unpack it")
        raise BadInput(
            f"{file} is packed as {name if name in NOT_READ else kind}, which is not read: unpack "
            "it, or pack it as .gz"
        )
    if kind and name != kind and not ending:
        raise BadInput(f"{file} is packed, and its name does not say so: call it {file.name}{kind}")
    if name in READ and not kind and not ending:
        raise BadInput(
            f"{file} is called {name}, but its content is not; "
            "give it the name of what it is, or take it away"
        )
    # Of such files Spark reads what comes before, and says nothing.
    if (kind == ".bz2" and not (head[4:10] in BZ2_BLOCKS and ends_as_bz2(file))) or (
        kind == ".zst" and not ends_as_zstd(file)
    ):
        raise damaged(file)
    inside = head_of(file, kind) if kind else head
    if kind and (again := kind_of(inside)):
        raise BadInput(f"{file} holds what is packed again, as {again}: unpack it once")
    begins = {"Parquet": (MAGIC,), **OTHER_FORMATS} if kind else OTHER_FORMATS
    place, marks = TAR_MARK
    # Old archives have no mark, but zeros, which no text has.
    if inside[place:].startswith(marks) or (archive and b"\0" in inside):
        raise BadInput(f"{file} holds an archive: unpack it")
    other = next((other for other, begin in begins.items() if inside.startswith(begin)), "")
    if other:
        packed = "packed " * bool(kind)
        raise BadInput(f"{file} is {packed}{other}, which is not read: write JSON lines or Parquet")
    if ending:
        right = file.name.removesuffix(ending) + kind
        raise BadInput(f"{file} has an ending that is not read: call it {right}")


def kind_of(head: bytes) -> str:
    """As what bytes are packed that begin so; nothing if they are not."""
    return next((kind for kind, begins in PACKED.items() if head.startswith(begins)), "")


def head_of(file: Path, kind: str) -> bytes:
    """The first bytes of what a packed file holds; none of a broken one, which a run names."""
    try:
        with OPENERS[kind](file) as content:
            return content.read(HEAD_BYTES)
    except (OSError, EOFError, ValueError, zlib.error, pa.ArrowException):
        # Of a broken bz2 file Spark reads nothing, and says nothing.
        if kind == ".bz2":
            raise damaged(file) from None
        return b""


def damaged(file: Path) -> BadInput:
    """What is said of a packed file that is not whole."""
    return BadInput(
        f"{file} is cut short or damaged, or goes on with something else: pack it again, or take "
        "it away"
    )


def ends_as_bz2(file: Path) -> bool:
    """Whether a file ends with the end of what bz2 packs."""
    with file.open("rb") as content:
        content.seek(-min(11, content.seek(0, os.SEEK_END)), os.SEEK_END)
        bits = int.from_bytes(content.read())
    return any(bits >> shift + 32 & (1 << 48) - 1 == int.from_bytes(BZ2_END) for shift in range(8))


def ends_as_zstd(file: Path) -> bool:
    """Whether a file is zstd frames one after the other to its end, by the sizes of their blocks.

    Source: RFC 8878, Zstandard Compression and the application/zstd Media Type.
    """
    with file.open("rb") as content:
        size = content.seek(0, os.SEEK_END)
        content.seek(0)
        while content.tell() < size:
            if not _past_frame(content):
                return False
        return content.tell() == size


def _past_frame(content: BinaryIO) -> bool:
    """Go to the end of a zstd frame; False of what is none."""

    def number(count: int) -> int:
        read = content.read(count)
        return int.from_bytes(read, "little") if len(read) == count else -1

    mark = content.read(4)
    if kind_of(mark) != ".zst":
        return False
    if mark[0] & 0xF0 == 0x50:  # what is passed over
        return (count := number(4)) >= 0 and content.seek(count, os.SEEK_CUR) > 0
    if (head := number(1)) < 0:
        return False
    is_single, has_checksum = head >> 5 & 1, head >> 2 & 1
    known = ZSTD_SIZES[head >> 6] or is_single
    content.seek((not is_single) + ZSTD_IDS[head & 3] + known, os.SEEK_CUR)
    is_last = False
    while not is_last:
        if (block := number(3)) < 0:
            return False
        is_last, form, count = block & 1, block >> 1 & 3, block >> 3
        # One byte stands for all of a block that repeats it; the last form is reserved.
        if form == 3:
            return False
        content.seek(1 if form == 1 else count, os.SEEK_CUR)
    content.seek(4 * has_checksum, os.SEEK_CUR)
    return True


def types_of(file: Path) -> tuple[tuple[str, ...], ...]:
    """Name, physical and logical type and unit of time of each column that is read."""
    try:
        with file.open("rb") as content:
            footer = pq.read_metadata(content)
        columns = footer.schema
        kinds = columns.to_arrow_schema()
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        reason = str(error).splitlines()[0]
        raise BadInput(f"{file} cannot be read as Parquet: {reason}") from error
    check_types(file, columns, kinds)
    check_note(file, (footer.metadata or {}).get(SPARKS_NOTE), columns)
    check_values(file, footer)
    found = []
    for i in range(len(columns)):
        column = columns.column(i)
        unit = "ns" if "timeUnit=nanoseconds" in str(column.logical_type) else ""
        found.append((column.path, column.physical_type, str(column.logical_type), unit))
    names = [name.split(".")[0].lower() for name, *_ in found if "." not in name]
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise BadInput(f"{file} has columns whose names differ by case alone: {doubled[0]}")
    return tuple(sorted(each for each in found if each[0].split(".")[0].lower() in FIELDS))


def check_types(file: Path, columns: pq.ParquetSchema, kinds: pa.Schema) -> None:
    """Refuse columns of a type that Spark cannot read, whether they are wanted or not.

    kinds: the same columns as Arrow has them.

    Raises:
        BadInput: it names file, column and type.
    """
    for i in range(len(columns)):
        column = columns.column(i)
        known = {column.logical_type.type, column.converted_type}
        if known & {*UNREADABLE} or column.precision > MAX_DECIMAL_DIGITS:
            kind = str(column.logical_type)
            kind = column.converted_type if kind == "None" else kind
            raise of_other_type(file, column.path.split(".")[0], kind)
    for kind in kinds:
        # Of a span of time Spark has the bare number, whatever its unit.
        if pa.types.is_duration(kind.type):
            raise of_other_type(file, kind.name, str(kind.type))


def check_values(file: Path, footer: pq.FileMetaData) -> None:
    """Refuse columns that are read and of whose values Spark cannot read all, or any.

    Raises:
        BadInput: it names file, column and remedy.
    """
    columns = map(footer.schema.column, range(footer.num_columns))
    in_ms = {
        i: "timeUnit=milliseconds" in str(column.logical_type)
        for i, column in enumerate(columns)
        if column.path.split(".")[0].lower() in FIELDS
    }
    # Of a group without rows Spark reads nothing.
    groups = (g for g in map(footer.row_group, range(footer.num_row_groups)) if g.num_rows)
    for chunk, is_in_ms in ((group.column(i), in_ms[i]) for group in groups for i in in_ms):
        fault = ""
        if chunk.compression in UNREAD_CODECS:
            fault = (
                f"is packed as {chunk.compression.lower()}, which Spark does not read: write it "
                "with zstd or snappy"
            )
        elif UNREAD_ENCODING in chunk.encodings:
            fault = f"is encoded as {UNREAD_ENCODING}, which Spark does not read: write it without"
        elif is_in_ms and furthest(chunk.statistics) > MAX_MS:
            fault = (
                "holds a time too far off for Spark, as infinity is: write it as null, or the "
                "column in microseconds"
            )
        if fault:
            raise BadInput(f"column `{chunk.path_in_schema.split('.')[0]}` of {file} {fault}")


def furthest(known: pq.Statistics | None) -> int:
    """How far from zero whole numbers lie by what is known of them; 0 where nothing is.

    Raw, for Python has no such times.
    """
    return max(-known.min_raw, known.max_raw) if known and known.has_min_max else 0


def check_note(file: Path, note: bytes | None, columns: pq.ParquetSchema) -> None:
    """Refuse a file of which Spark would read the columns that it once had.

    note: what Spark wrote into it, which other programs hand on when they add a column.
    """
    try:
        noted = {each["name"].lower(): each.get("type") for each in json.loads(note)["fields"]}
    except (AttributeError, KeyError, TypeError, ValueError):  # none, or nothing that Spark reads
        return
    old = {
        each.path
        for each in map(columns.column, range(len(columns)))
        if each.physical_type == INT96
    }
    kinds = columns.to_arrow_schema()
    hidden = [name for name in kinds.names if name.lower() not in noted]
    changed = [
        each.name
        for each in kinds
        if isinstance(kind := noted.get(each.name.lower()), str)
        and not is_noted(INT96 if each.name in old else str(value_type(each.type)), kind)
    ]
    if hidden or changed:
        raise BadInput(
            f"{file} does not tell Spark of all its columns ({', '.join(hidden + changed)}), or of "
            "other types: write it again without Spark's note, with pyarrow "
            "`table.replace_schema_metadata(None)`"
        )


def is_noted(found: str, noted: str) -> bool:
    """Whether Spark reads a column of a type as it is, which its note calls by one of Spark's.

    Types of which nothing is said here fail in Spark where they are others.
    """
    if decimal := DECIMAL.fullmatch(noted):
        own = DECIMAL.fullmatch(found)
        return bool(own) and own.groups()[1:] == decimal.groups()[1:]
    return found in NOTED.get(noted, (found,))


def value_type(kind: pa.DataType) -> pa.DataType:
    """The type of the values that a column holds, which a dictionary may hold for it."""
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def of_other_type(file: Path, column: str, kind: str) -> BadInput:
    """What is said of a column whose type Spark does not have."""
    return BadInput(
        f"column `{column}` of {file} is {kind}, which Spark cannot read: write it as another "
        "type, or leave it out"
    )


def uri_of(file: Path) -> str:
    """The URI of a file as Spark writes it."""
    # Java encodes blanks and control characters beyond ASCII too.
    safe = "".join(
        c if ord(c) > 127 and category(c) not in ("Zs", "Zl", "Zp", "Cc") else quote(c, URI_SAFE)
        for c in str(file)
    )
    return f"file:{safe}"
