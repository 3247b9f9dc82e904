"""Files as people have them: each is read right, or refused in one sentence that names it."""

import bz2
import decimal
import gzip
import io
import json
import lzma
import os
import pickle
import random
import re
import tarfile
import zlib
from collections import Counter
from dataclasses import replace
from itertools import cycle
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from sparkify import transform
from sparkify.cli import cli
from sparkify.errors import BadInput, CheckFailed
from sparkify.events import SPARKS_NOTE, find_files, find_forms, local_path, uri_of

START_MS = 1538352000000
COLUMNS = [
    *("user_id", "session_id", "item_in_session", "event_at", "page", "auth", "level", "method"),
    *("status", "artist", "song", "song_length_s", "gender", "registered_at", "state", "platform"),
]

# Of zstd, what whoever unpacks it passes over.
SKIPPED = b"\x53\x2a\x4d\x18" + (5).to_bytes(4, "little") + b"aside"


def zstandard(content: bytes) -> bytes:
    return pa.compress(content, codec="zstd", asbytes=True)


def events(count: int = 6, **changes) -> list[dict]:
    """Events of two users, a minute apart."""
    return [
        {
            "ts": START_MS + 60_000 * item,
            "userId": str(30 + item % 2),
            "sessionId": 29 + item % 2,
            "page": "NextSong",
            "auth": "Logged In",
            "method": "PUT",
            "status": 200,
            "level": "free",
            "itemInSession": item,
            "location": "Kansas City, MO-KS",
            "userAgent": "Mozilla/5.0 (iPhone; CPU iPhone OS 7_1_2 like Mac OS X)",
            "registration": START_MS - 86_400_000,
            "gender": "M",
            "artist": "Sigur Rós",
            "song": f"song {item}",
            "length": 277.89016,
        }
        | changes
        for item in range(count)
    ]


def as_json(rows: list[dict]) -> str:
    return "\n".join(map(json.dumps, rows)) + "\n"


@pytest.fixture(scope="module")
def staged(spark, settings):
    """A function that builds and tests staging from a path, and returns the events it leads to."""
    generous = replace(settings, overrides={"max_rejected_share": 1, "max_nulled_share": 1})

    def stage(path: Path, **overrides) -> pd.DataFrame:
        chosen = replace(generous, overrides=generous.overrides | overrides)
        transform.build(chosen, "--select", "path:models/staging", events=str(path))
        rows = spark.table("sparkify.stg_sparkify__events").select(COLUMNS).toPandas()
        return rows.sort_values(["user_id", "item_in_session"], ignore_index=True)

    return stage


@pytest.fixture(scope="module")
def expected(staged, tmp_path_factory) -> pd.DataFrame:
    """What the events lead to as JSON."""
    folder = tmp_path_factory.mktemp("json")
    (folder / "a.json").write_text(as_json(events()))
    rows = staged(folder)
    assert len(rows) == 6 and rows.notna().all(axis=None)
    return rows


def other_types() -> dict[str, pd.DataFrame]:
    """The same events as people write them to Parquet, in other types."""
    frame = pd.DataFrame(events())
    times = {name: pd.to_datetime(frame[name], unit="ms") for name in ("ts", "registration")}
    naive = frame.assign(**times)
    zoned = {name: time.dt.tz_localize("UTC") for name, time in times.items()}
    floats = ["userId", "sessionId", "itemInSession", "status", "ts", "registration"]
    return {
        "integers": frame.assign(userId=frame["userId"].astype(int)),
        "floats": frame.astype(dict.fromkeys(floats, float)),
        "texts": frame.astype(str),
        "naive": naive.astype({name: "datetime64[us]" for name in times}),
        "nanoseconds": naive.astype({name: "datetime64[ns]" for name in times}),
        "the last nanosecond": naive.assign(
            **{
                name: time.astype("datetime64[ns]") + pd.Timedelta(999_999)
                for name, time in times.items()
            }
        ),
        "zoned": naive.assign(
            **{name: time.dt.tz_convert("Asia/Tokyo") for name, time in zoned.items()}
        ),
        "small": frame.astype({"status": np.int16, "itemInSession": np.int8}),
        "other case": frame.rename(columns=str.lower),
        "categories": frame.astype({"level": "category", "page": "category"}),
    }


@pytest.mark.long
def test_parquet_of_other_types_in_one_folder_gives_the_same_events(staged, expected, tmp_path):
    for name, frame in other_types().items():
        frame.to_parquet(tmp_path / f"{name}.parquet")
    one_row = pd.DataFrame(events()).assign(gender=None)
    one_row.iloc[:0].to_parquet(tmp_path / "no rows.parquet")
    (tmp_path / "beside.json").write_text(as_json(events()))
    (tmp_path / "not called so").write_bytes((tmp_path / "floats.parquet").read_bytes())
    pd.testing.assert_frame_equal(staged(tmp_path), expected)


@pytest.mark.long
def test_a_date_is_the_midnight_of_utc(staged, tmp_path):
    frame = pd.DataFrame(events())
    for name in ("ts", "registration"):
        frame[name] = pd.to_datetime(frame[name], unit="ms").dt.date
    frame.to_parquet(tmp_path / "a.parquet")
    rows = staged(tmp_path)
    assert set(rows["event_at"].astype(str)) == {"2018-10-01"}
    assert set(rows["registered_at"].astype(str)) == {"2018-09-30"}
    # What DuckDB and PostgreSQL have as infinity.
    table = pq.read_table(tmp_path / "a.parquet")
    endless = pa.array([2**31 - 1] * len(table), pa.int32()).view(pa.date32())
    at = table.schema.get_field_index("registration")
    pq.write_table(table.set_column(at, "registration", endless), tmp_path / "a.parquet")
    assert set(staged(tmp_path)["registered_at"].astype(str)) == {"NaT"}


@pytest.mark.long
def test_every_file_is_parquet_where_a_var_says_so(staged, expected, tmp_path):
    pd.DataFrame(events()).to_parquet(tmp_path / "part-0")
    pd.testing.assert_frame_equal(staged(tmp_path, events_format="parquet"), expected)


@pytest.mark.long
def test_columns_are_taken_from_the_names_of_folders(staged, tmp_path):
    frame = pd.DataFrame(events()).drop(columns=["level", "gender", "page"])
    folder = tmp_path / "level=paid" / "page=Add%20to+Playlist"
    (folder / "Gender=F").mkdir(parents=True)
    frame.to_parquet(folder / "Gender=F" / "a.parquet")
    songless = [{k: v for k, v in row.items() if k not in ("level", "page")} for row in events()]
    (folder / "b.json").write_text(as_json(songless))
    # Two of these are not UTF-8, and not the same.
    users = {"M%FCller": "M%FCller", "M%F6ller": "M%F6ller", "M%C3%BCller": "Müller"}
    for name in users:
        (folder / f"userId={name}").mkdir()
        nobody = {key: value for key, value in songless[0].items() if key != "userId"}
        (folder / f"userId={name}" / "c.json").write_text(as_json([nobody]))
    rows = staged(tmp_path)
    assert Counter(rows["gender"]) == {"F": 6, "M": 6 + 3}
    assert set(rows["user_id"]) == {"30", "31", *users.values()}
    assert set(rows["level"]) == {"paid"} and set(rows["page"]) == {"Add to+Playlist"}


ODD_NAMES = [
    *(
        "${env:HOME}",
        "${spark.app.name}",
        "sparkify",
        "log[1]",
        "log1",
        "a{b,c}d",
        "ab",
        "back\\slash",
        "what?",
        "star*",
        "two  blanks",
    ),
    *(
        "per%20cent",
        "hash#tag",
        "Ünïcödé 日本",
        "it's",
        'quo"te',
        "new;line",
        "2018-10-01T10:00:00",
    ),
    *("~tilde", "plus+", "a=b", "$HOME", "log(1)"),
    *("10.00\u202fAM", "no\u00a0break", "\u0085\u2028"),
]


@pytest.fixture
def oddly_named(tmp_path) -> Path:
    """A folder of folders with a JSON and a Parquet file each, of a session by its number."""
    for number, name in enumerate(ODD_NAMES):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{name}.json").write_text(as_json(events(2, sessionId=number)))
        paid = pd.DataFrame(events(2, sessionId=number, level="paid"))
        paid.to_parquet(tmp_path / name / f"{name}.parquet")
    return tmp_path


@pytest.mark.long
def test_what_a_row_has_of_a_field_under_any_key_comes_before_its_folder(staged, tmp_path):
    folder = tmp_path / "Gender=M" / "artist=100% Love"
    folder.mkdir(parents=True)
    rows = [
        {"gender": None, "GENDER": "F"},
        {"gender": None, "GENDER": "F", "more": {}},
        {"GENDER": "F", "gender": None},
        {"gender": "nan"},
        {"gender": " "},
        {},
    ]
    given = [
        {k: v for k, v in row.items() if k not in ("gender", "artist")} | change
        for row, change in zip(events(6), rows, strict=True)
    ]
    (folder / "a.json").write_text(as_json(given))
    found = staged(tmp_path)
    by_item = found.sort_values("item_in_session")
    assert [*by_item["gender"]] == ["F", "F", "F", "M", "M", "M"]
    assert set(found["artist"]) == {"100% Love"}


@pytest.mark.long
def test_nobody_is_anonymous_in_any_case(staged, tmp_path):
    told = ("Logged Out", "logged out", "LOGGED OUT", "guest")
    (tmp_path / "a.json").write_text(as_json([events(1, auth=auth)[0] for auth in told]))
    (tmp_path / "b.json").write_text(as_json(events(1)))
    assert len(staged(tmp_path)) == 1


@pytest.mark.long
def test_files_of_any_name_are_read(staged, oddly_named):
    sessions = staged(oddly_named)["session_id"].astype(int)
    assert Counter(sessions) == dict.fromkeys(range(len(ODD_NAMES)), 4)


@pytest.mark.long
def test_a_path_is_no_pattern(spark, settings, oddly_named):
    # As a folder, or as a file in it.
    for name, inside in zip(ODD_NAMES, cycle(("", "{}.json")), strict=False):
        path = oddly_named / name / inside.format(name)
        transform.register_events(settings, str(path))
        files = spark.sql("select distinct _metadata.file_name from sparkify_raw.files")
        expected = {file.name for file in ([path] if path.is_file() else path.iterdir())}
        assert {unquote(row[0]) for row in files.collect()} == expected
        texts = spark.sql("select value from sparkify_raw.lines where value like '{%'")
        number = str(ODD_NAMES.index(name))
        assert {json.loads(row[0])["sessionId"] for row in texts.collect()} == {int(number)}


def test_the_uri_of_a_file_is_the_one_that_spark_writes(spark, tmp_path):
    for name in ODD_NAMES:
        (tmp_path / name).write_text("x")
    read = spark.read.format("binaryFile").option("recursiveFileLookup", True).load(str(tmp_path))
    found = {
        row[0].replace("file:///", "file:/") for row in read.select("_metadata.file_path").collect()
    }
    assert found == {uri_of(tmp_path / name) for name in ODD_NAMES}


def refused(path: Path) -> str:
    with pytest.raises(BadInput) as failure:
        find_forms(find_files(path).files)
    assert failure.value.exit_code == 3
    return str(failure.value)


def test_what_cannot_be_read_is_refused_by_name(tmp_path):
    (tmp_path / "stray").mkdir()
    (tmp_path / "stray" / "notes.parquet").write_text("no Parquet\n")
    assert "notes.parquet" in refused(tmp_path / "stray")
    whole = tmp_path / "whole.parquet"
    pd.DataFrame(events()).to_parquet(whole)
    (tmp_path / "cut").mkdir()
    (tmp_path / "cut" / "cut.parquet").write_bytes(whole.read_bytes()[:-100])
    assert "cut.parquet" in refused(tmp_path / "cut")
    (tmp_path / "delta" / "_delta_log").mkdir(parents=True)
    (tmp_path / "delta" / "a.parquet").write_bytes(whole.read_bytes())
    assert "a table of Delta" in refused(tmp_path / "delta")
    table = pa.table({"userid": [1], "userId": [2]})
    (tmp_path / "twice").mkdir()
    pq.write_table(table, tmp_path / "twice" / "a.parquet")
    assert "a.parquet" in refused(tmp_path / "twice")
    (tmp_path / "hidden").mkdir()
    (tmp_path / "hidden" / "_events.json").write_text("{}")
    assert "_events.json" in refused(tmp_path / "hidden")
    (tmp_path / "link").mkdir()
    (tmp_path / "link" / "gone.json").symlink_to(tmp_path / "nowhere")
    assert "gone.json" in refused(tmp_path / "link")
    with pytest.raises(BadInput, match="gone.json"):  # before anything asks for its size
        find_files(tmp_path / "link")
    assert "cannot be read (File name too long)" in refused(tmp_path / ("x" * 300))
    (tmp_path / "column").mkdir()
    pq.write_table(pa.table({"price": [1], "ts": [1]}), tmp_path / "column" / "a.parquet")
    named = (tmp_path / "column" / "a.parquet").read_bytes().replace(b"price", b"pric\xe9")
    (tmp_path / "column" / "a.parquet").write_bytes(named)
    assert "a.parquet cannot be read as Parquet" in refused(tmp_path / "column")
    with pytest.raises(BadInput, match="http.* is no folder that Spark can read: download it"):
        local_path("https://example.org/events.json")
    (tmp_path / "latin").mkdir()
    Path(os.fsdecode(os.fsencode(tmp_path / "latin") + b"/caf\xe9.json")).write_text("{}")
    assert "caf\\xe9.json has a name that is not UTF-8" in refused(tmp_path / "latin")


@pytest.mark.parametrize(
    ("name", "pack", "message"),
    [
        # Of these Spark reads nothing, and says nothing.
        ("a.json.bz2", bytes, "is called .bz2, but its content is not"),
        ("a.json.lz4", bytes, "is packed as .lz4, which is not read"),
        ("a.json.snappy", bytes, "is packed as .snappy, which is not read"),
        ("a.json.DEFLATE", zlib.compress, "is packed as .deflate, which is not read"),
        ("a.json.gz", bz2.compress, "is packed, and .* call it a.json.gz.bz2"),
        ("a.json.zst", bytes, "is called .zst, but its content is not"),
        # Of these the letters would be rows that are not JSON.
        ("a.json", gzip.compress, "is packed, and .* call it a.json.gz"),
        ("a.gz.1", gzip.compress, "is packed, and .* call it a.gz.1.gz"),
        ("a.json.xz", lzma.compress, "is packed as .xz, which is not read"),
        ("a.tar.xz", lzma.compress, "is an archive: unpack it"),
        ("a.tar.br", bytes, "is an archive: unpack it"),
        # Which readers unpack depends on them.
        ("a.json.gzip", gzip.compress, "has an ending that is not read: call it a.json.gz"),
        ("a.json.zstd", zstandard, "has an ending that is not read: call it a.json.zst"),
        # The name to give is that of the content.
        ("a.json.gzip", bytes, "has an ending that is not read: call it a.json$"),
        ("a.json.GZIP", bz2.compress, "has an ending that is not read: call it a.json.bz2"),
        ("a.json.gzip", lzma.compress, "is packed as .xz, which is not read"),
        ("a.json.tgz", bytes, "has an ending that is not read: call it a.json$"),
        ("a.json.tar", bytes, "has an ending that is not read: call it a.json$"),
        ("a.json.tar.gz", bytes, "has an ending that is not read: call it a.json$"),
        ("a.json.tgz", gzip.compress, "has an ending that is not read: call it a.json.gz"),
        ("a.json", zlib.compress, "is packed as .zlib, which is not read"),
        ("a.lzma", lambda text: lzma.compress(text, lzma.FORMAT_ALONE), "is packed as .lzma"),
        ("a.sz", lambda text: b"\xff\x06\x00\x00sNaPpY" + text, "is packed as .sz"),
        ("a.json", lambda text: b"\x02\x21\x4c\x18" + text, "is packed as .lz4"),
        # Of a block that does not begin as one Spark reads nothing, and says nothing.
        ("a.json.bz2", lambda text: bz2.compress(text)[:9], "is cut short or damaged"),
        ("a.json.bz2", lambda text: bz2.compress(text)[:40], "is cut short or damaged"),
        ("a.bz2", lambda text: b"BZh9" + bz2.compress(text)[5:], "is cut short or damaged"),
        # Of these it reads what comes before, as logs have it that were appended to.
        *(
            (name, lambda text, pack=pack, last=last: pack(text) + last(pack(text), text), words)
            for name, pack in (("a.bz2", bz2.compress), ("a.zst", zstandard))
            for last, words in (
                (lambda packed, text: packed[:9], "is cut short or damaged"),
                (lambda packed, text: packed[:-1], "is cut short or damaged"),
                (lambda packed, text: text, "or goes on with something else"),
                (lambda packed, text: gzip.compress(text), "or goes on with something else"),
            )
        ),
    ],
)
def test_a_file_is_packed_as_its_name_says_or_refused(tmp_path, name, pack, message):
    (tmp_path / name).write_bytes(pack(as_json(events()).encode()))
    assert re.search(message, refused(tmp_path))
    rights = {".gz": gzip.compress, ".GZ": gzip.compress, ".bz2": bz2.compress, ".zst": zstandard}
    (tmp_path / name).unlink()
    for suffix, right in rights.items():
        # One after the other, and of zstd what is to be passed over.
        more = SKIPPED * (suffix == ".zst") + right(random.randbytes(300_000) + b"a" * 300_000)
        (tmp_path / f"a{suffix}").write_bytes(right(b"{}") + right(b"") + more)
        find_forms(find_files(tmp_path).files)


def gzipped(content: bytes) -> bytes:
    """The same bytes in every process: they are the names of tests."""
    return gzip.compress(content, mtime=0)


def tar_of(content: bytes) -> bytes:
    """An archive with one file."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        member = tarfile.TarInfo("a.json")
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    return out.getvalue()


@pytest.mark.parametrize("kind", [pa.time64("us"), pa.float16(), pa.duration("ms"), pa.uuid()])
def test_a_column_that_spark_cannot_read_is_refused_with_its_file(tmp_path, kind):
    column = pa.nulls(1, kind)
    pq.write_table(pa.table({"userId": ["7"], "length": column}), tmp_path / "odd.parquet")
    assert re.match(r"column `length` of .*odd\.parquet is .*: write it as", refused(tmp_path))


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("double", {"compression": "brotli"}, "is packed as brotli, .*: write it with zstd"),
        (
            "double",
            {"use_byte_stream_split": ["length"], "use_dictionary": False},
            "is encoded as BYTE_STREAM_SPLIT, .*: write it without",
        ),
        (pa.timestamp("ms"), {}, "holds a time too far off for Spark, .*: write it as null"),
        (pa.timestamp("ms", "UTC"), {}, "holds a time too far off for Spark"),
    ],
)
def test_a_column_whose_values_spark_cannot_read_is_refused_with_its_file(
    tmp_path, kind, options, message
):
    # Infinity, as DuckDB writes it.
    for value in (2**63 - 1, 1 - 2**63):
        column = pa.array([0, None, value], pa.int64()).cast(kind, safe=False)
        table = pa.table({"userId": ["7"] * 3, "length": column})
        file = tmp_path / "odd.parquet"
        pq.write_table(table, file, **{"row_group_size": 2, "compression": "snappy"} | options)
        assert re.match(rf"column `\w+` of .*odd\.parquet {message}", refused(tmp_path))
        # What is not read may be so, and a group without rows.
        pq.write_table(table.slice(0, 0), file, **options)
        find_forms([file])
        pq.write_table(table.select(["length"]).rename_columns(["price"]), file, **options)
        find_forms([file])


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "a.json.gz",
            gzipped(gzipped(b"{}")),
            "holds what is packed again, as .gz",
        ),
        ("a.gz", gzipped(b"PAR1and more"), "is packed Parquet, which is not read"),
        (
            "a.json.gz",
            gzipped(b"Obj\x01and more"),
            "is packed Avro, which is not read",
        ),
        ("a.json", b"ORC and more", "is ORC, which is not read"),
        ("a.json.br", b"and more", "is packed as .br, which is not read"),
        ("a.hsnappy", b"and more", "is packed as .hsnappy, which is not read"),
        ("a.Z", b"\x1f\x9dand more", "is packed as .z, which is not read"),
        ("a.feather", b"ARROW1\0\0and more", "is Arrow, which is not read"),
        ("a", b"SEQ\x06and more", "is a Hadoop sequence file, which is not read"),
        ("a.json.gz", gzipped(pickle.dumps([1])), "is packed a pickle of Python"),
        ("a.gz", gzipped(tar_of(b"{}")), "holds an archive: unpack it"),
        ("a.json", tar_of(b"{}"), "holds an archive: unpack it"),
        ("a.tar", tar_of(b"{}"), "holds an archive: unpack it"),
        ("a.tar", tar_of(b"{}").replace(b"ustar", b"\0" * 5), "holds an archive: unpack it"),
        ("a.tar.gz", gzipped(tar_of(b"{}")), "holds an archive: unpack it"),
        ("a.tgz", gzipped(tar_of(b"{}")), "holds an archive: unpack it"),
        ("a.gzip", tar_of(b"{}"), "holds an archive: unpack it"),
        ("a.gzip", b"ORC and more", "is ORC, which is not read"),
    ],
)
def test_what_holds_no_lines_is_refused_by_what_it_is(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    assert message in refused(tmp_path)


@pytest.mark.parametrize("mark", ["_delta_log/0.json", ".hoodie/x", "metadata/v1.metadata.json"])
def test_a_table_with_files_of_its_past_is_refused_and_so_is_its_part(tmp_path, mark):
    (tmp_path / mark).parent.mkdir()
    (tmp_path / mark).write_text("{}")
    part = tmp_path / "day=1" / "a.json"
    part.parent.mkdir()
    part.write_text("{}")
    for path in (tmp_path, part.parent, part):
        assert "whose files hold rows of its past too" in refused(path)
    (tmp_path / mark).parent.rename(tmp_path / "other")
    assert len(find_files(tmp_path).files) == 2


def test_what_is_no_file_and_what_hides_though_spark_reads_it_is_refused(tmp_path):
    (tmp_path / "pipe").mkdir()
    os.mkfifo(tmp_path / "pipe" / "control")
    assert "control is no file that can be read twice" in refused(tmp_path / "pipe")
    (tmp_path / "summary" / "_metadata").mkdir(parents=True)
    (tmp_path / "summary" / "_metadata" / "a.json").write_text("{}")
    assert "_metadata has a name that only files of Parquet have" in refused(tmp_path / "summary")
    (tmp_path / ".a.json").write_text("{}")
    assert "a name that Spark passes over" in refused(tmp_path / ".a.json")
    # Called as a column is, it is read.
    (tmp_path / "_day=1.json").write_text("{}")
    assert len(find_files(tmp_path / "_day=1.json").files) == 1


def test_a_word_where_an_archive_has_its_mark_is_a_word(tmp_path):
    text = '{"artist": "'.ljust(257 - len("DJ M"), "x") + "DJ Mustard" + '"}'
    assert text[257:262] == "ustar"
    (tmp_path / "a.json").write_text(text)
    assert not find_forms(find_files(tmp_path).files)


def test_links_without_end_are_refused_at_once(tmp_path):
    (tmp_path / "days").mkdir()
    (tmp_path / "days" / "a.json").write_text(as_json(events()))
    (tmp_path / "days" / ".snapshot").symlink_to(tmp_path)
    assert find_files(tmp_path).files == [tmp_path / "days" / "a.json"]
    for name in ("current", "latest"):
        (tmp_path / "days" / name).symlink_to(tmp_path)
    with pytest.raises(BadInput, match="(current|latest) is a link to a folder that it lies"):
        find_files(tmp_path)


def test_a_link_is_what_it_is_called(tmp_path):
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "ab12").write_bytes(gzip.compress(b"{}"))
    (tmp_path / "a.json.gz").symlink_to(tmp_path / "cache" / "ab12")
    (tmp_path / "gender=F").symlink_to(tmp_path / "cache")
    (tmp_path / "beside").mkdir()
    above = find_files(tmp_path / "beside" / ".." / "gender=F")
    assert above.path == tmp_path / "gender=F"
    found = find_files(tmp_path / "a.json.gz")
    assert found.path == tmp_path / "a.json.gz" and not find_forms(found.files)
    assert find_files(tmp_path / "gender=F").path == tmp_path / "gender=F"


def test_a_file_that_tells_spark_of_other_columns_is_refused(spark, tmp_path):
    one = spark.createDataFrame([(START_MS, "30")], "ts bigint, userId string").coalesce(1)
    one.write.parquet(str(tmp_path / "written"))
    table = pq.read_table(next((tmp_path / "written").glob("*.parquet")))
    (tmp_path / "more").mkdir()
    more = tmp_path / "more" / "a.parquet"
    pq.write_table(table.append_column("level", pa.array(["paid"])), more)
    assert re.search(r"more.a\.parquet does not tell Spark .* \(level\)", refused(more))
    pq.write_table(pq.read_table(more).replace_schema_metadata(None), more)
    find_forms(find_files(more).files)
    changed = table.set_column(0, "ts", pa.array([START_MS * 1000]).cast(pa.timestamp("us")))
    pq.write_table(changed, more)
    assert re.search(r"more.a\.parquet does not tell Spark .* \(ts\)", refused(more))
    # Spark would take the last two bytes of it.
    small = spark.createDataFrame([(7, "30")], "status short, userId string").coalesce(1)
    small.write.parquet(str(tmp_path / "small"))
    held = pq.read_table(next((tmp_path / "small").glob("*.parquet")))
    pq.write_table(held.set_column(0, "status", pa.array([70_000], pa.int32())), more)
    assert re.search(r"more.a\.parquet does not tell Spark .* \(status\)", refused(more))
    # What is only in the note is null to Spark, and is not there.
    pq.write_table(table.drop_columns(["userId"]), more)
    find_forms(find_files(more).files)


def test_every_type_that_spark_writes_is_as_its_note_says(spark, tmp_path):
    values = (
        "1Y as a, 2S as b, 3 as c, 4L as d, 1.5F as e, 2.5D as f, true as g, date'2020-01-01' as h,"
        " timestamp'2020-01-01' as i, timestamp_ntz'2020-01-01' as j, 1.25BD as k,"
        " cast(1.5 as decimal(20, 3)) as l, 'x' as m, X'1F' as n, array(1) as o"
    )
    try:
        for kind in ("INT96", "TIMESTAMP_MICROS", "TIMESTAMP_MILLIS"):
            spark.conf.set("spark.sql.parquet.outputTimestampType", kind)
            spark.sql(f"select {values}").coalesce(1).write.parquet(str(tmp_path / kind))
            find_forms(find_files(tmp_path / kind).files)
    finally:
        spark.conf.unset("spark.sql.parquet.outputTimestampType")


@pytest.mark.parametrize(
    "note", ["{}", '{"fields": [{}]}', '{"fields": [{"name": 1}]}', "[1]", "x"]
)
def test_a_note_that_is_none_of_sparks_says_nothing(tmp_path, note):
    noted = pa.table({"userId": ["30"]}).replace_schema_metadata({SPARKS_NOTE: note})
    pq.write_table(noted, tmp_path / "a.parquet")
    find_forms(find_files(tmp_path).files)


def test_a_damaged_file_is_none_that_is_shorter(spark, settings, tmp_path):
    """Whatever the session says, as that of a cluster may."""
    packed = gzip.compress(as_json(events(200)).encode())
    (tmp_path / "a.json.gz").write_bytes(packed[: len(packed) * 2 // 3])
    names = ("spark.sql.files.ignoreCorruptFiles", "spark.sql.files.ignoreMissingFiles")
    for name in names:
        assert spark.conf.get(name) == "false"
        spark.conf.set(name, "true")
    try:
        transform.register_events(settings, str(tmp_path))
        with pytest.raises(Exception, match="Unexpected end of input stream"):
            spark.table("sparkify_raw.lines").count()
    finally:
        for name in names:
            spark.conf.set(name, "false")


def test_the_uri_of_a_file_is_taken_literally():
    for path in ("/a#b", "/a?b", "/a%20b", "/a b"):
        assert local_path(f"file://{path}") == local_path(f"file:{path}") == Path(path)
    assert local_path("file://host/a") is None and local_path("s3a://b/a") is None


@pytest.mark.long
def test_a_line_is_read_to_its_end_and_what_names_a_row_is_one_value(spark, staged, tmp_path):
    whole = json.dumps(events(1)[0])
    broken = [whole.replace("Sigur R\\u00f3s", f"Sigur R{cut}") for cut in ("\\u", "\\u00f")]
    # Half an emoji, as what cuts a text after so many letters leaves it.
    halves = ("\\ud83c", "\\udfb8\\ud83c", "\\\\ud83c\\udfb8", "\\ud83c\\\\udfb8")
    broken += [whole.replace('"30"', f'"{half}"') for half in halves]
    broken += [whole.replace('"', "'"), whole.replace('"30"', '"\t')]
    named = [
        *({"userId": name} for name in (False, True, [], {"id": 30}, 76561198000000001.0)),
        *({"userId": name} for name in (float("inf"), float("-inf"), "undefined", "none", "\\N")),
        *({"sessionId": name} for name in ([1], {"id": 1}, True)),
        *({"page": name} for name in (["NextSong"], {"name": "Home"}, True)),
    ]
    braces = json.dumps(events(1, userId="{3F25-04E0}", sessionId="[7]a", page="[Home]")[0])
    braces += json.dumps(events(1, userId="\N{GUITAR}\N{GUITAR}", sessionId="\\ud83c")[0])
    lines = [json.dumps(events(1, **change)[0]) for change in named]
    (tmp_path / "a.json").write_text("\n".join([*broken, *lines, braces, whole]))
    zero = pa.array([decimal.Decimal(0)], pa.decimal128(38, 9))
    table = pa.Table.from_pylist(events(1, itemInSession=0, sessionId=0, userId=0))
    for name in ("itemInSession", "sessionId", "userId"):
        table = table.set_column(table.column_names.index(name), name, zero)
    pq.write_table(table, tmp_path / "b.parquet")
    # A time that a float of 32 bits has moved by half a minute, and names that are not UTF-8.
    moved = pd.DataFrame(events(1)).assign(ts=np.float32(1538352117000))
    moved.to_parquet(tmp_path / "e.parquet")
    latin = [{**row, "userId": "Müller".encode("latin-1")} for row in events(1)]
    pq.write_table(pa.Table.from_pylist(latin), tmp_path / "f.parquet")
    # As pandas has a column of ids in which one is missing.
    large = pd.DataFrame(events(3, userId=76561198000000001.0)).assign(sessionId=[2.0**53, 29, 29])
    large.to_parquet(tmp_path / "c.parquet")
    large.assign(userId=np.float32(2**24 + 4)).to_parquet(tmp_path / "d.parquet")
    # Which Spark writes as 1.2345678E7.
    eight = pd.DataFrame(events(1, userId=12345678.0, sessionId=23456789.0))
    eight.to_parquet(tmp_path / "g.parquet")
    rows = staged(tmp_path)
    assert rows[["user_id", "session_id", "item_in_session"]].to_numpy().tolist() == [
        ["0", "0", 0],
        ["12345678", "23456789", 0],
        ["30", "29", 0],
        ["{3F25-04E0}", "[7]a", 0],
        ["\N{GUITAR}\N{GUITAR}", "\\ud83c", 0],
    ]
    found = spark.sql(
        "select rejection_reason, count(*) from sparkify.stg_sparkify__rejected_events group by 1"
    ).collect()
    assert dict(map(tuple, found)) == {
        "malformed_json": len(broken),
        "missing_user_id": 10 + 6 + 1,
        "invalid_ts": 1,
        "missing_session_id": 3,
        "missing_page": 3,
    }


@pytest.mark.long
def test_a_stream_wrote_what_its_files_hold(staged, expected, tmp_path):
    (tmp_path / "_spark_metadata").mkdir()
    (tmp_path / "part-0.json").write_text(as_json(events()))
    other = json.dumps(
        {
            "path": f"file://{tmp_path}/other.json",
            "size": 2,
            "isDir": False,
            "modificationTime": 0,
            "blockReplication": 1,
            "blockSize": 1,
            "action": "add",
        }
    )
    (tmp_path / "_spark_metadata" / "0").write_text(f"v1\n{other}\n")
    pd.testing.assert_frame_equal(staged(Path(f"{tmp_path}")), expected)


@pytest.mark.long
def test_a_bare_run_refuses_new_files_that_it_would_read_wrongly(settings, tmp_path):
    (tmp_path / "a.json").write_text(as_json(events()))
    transform.register_events(settings, f"file://{tmp_path}")
    # Columns that nobody looked at; a name of which Spark reads nothing.
    for name in ("new.json.lz4", "new.json.gzip", "new.tar.gz", "new.parquet"):
        pd.DataFrame(events()).to_parquet(tmp_path / name)
        with pytest.raises(BadInput, match=f"{name} is new, and .* run `sparkify build --events"):
            transform.run_dbt(settings, "run", "--select", "path:models/staging")
        if name != "new.parquet":
            (tmp_path / name).unlink()
    transform.build(settings, "--select", "path:models/staging", events=str(tmp_path))


@pytest.mark.long
def test_a_bare_run_refuses_files_that_nothing_reads(spark, settings, tmp_path):
    (tmp_path / "a.json").write_text(as_json(events()))
    # As by hand, when nobody looks at the files.
    arguments = json.dumps({"path": str(tmp_path)})
    transform.run_dbt(settings, "run-operation", "register_events", "--args", arguments)
    transform.run_dbt(settings, "run", "--select", "base_sparkify__files")
    pd.DataFrame(events()).to_parquet(tmp_path / "new.parquet")
    for model in ("rows", "line_counts"):
        with pytest.raises(BadInput, match="new.parquet is new, and .* run `sparkify build --ev"):
            transform.run_dbt(settings, "run", "--select", f"base_sparkify__{model}")
    # It may come while a run is under way: then it is not counted as empty.
    spark.sql("refresh table sparkify_raw.files")
    found = spark.sql("select source_file from sparkify.base_sparkify__files").collect()
    assert [Path(row[0]).name for row in found] == ["a.json"]


@pytest.mark.long
def test_no_run_reads_events_that_were_not_registered_to_the_end(settings, tmp_path):
    pd.DataFrame(events()).to_parquet(tmp_path / "a.parquet")
    pd.DataFrame(events()).assign(page=[["Home"]] * 6).to_parquet(tmp_path / "lists")
    none, lists = (
        [{"sample": str(tmp_path / name), "nanoseconds": [], "files": []}]
        for name in ("none", "lists")
    )
    broken_off = {
        "Spark finds": {"count": 9},
        "UNABLE_TO_INFER_SCHEMA": {"forms": none},
        # Until the last word of a form its table reads the sample alone.
        "is array<string>": {"forms": lists},
    }
    for said, arguments in broken_off.items():
        described = json.dumps({"path": str(tmp_path)} | arguments)
        with pytest.raises(BadInput, match=said):
            transform.run_dbt(settings, "run-operation", "register_events", "--args", described)
        with pytest.raises(BadInput, match="were not registered to the end.* `sparkify build --ev"):
            transform.run_dbt(settings, "run", "--select", "path:models/staging")
    (tmp_path / "good").mkdir()
    (tmp_path / "good" / "a.json").write_text(as_json(events()))
    described = json.dumps({"path": str(tmp_path / "good")})
    transform.run_dbt(settings, "run-operation", "register_events", "--args", described)
    transform.run_dbt(settings, "run", "--select", "+base_sparkify__rows")
    (tmp_path / "good" / "a.json").unlink()
    with pytest.raises(BadInput, match="the files are gone, .* `sparkify build --events PATH`"):
        transform.run_dbt(settings, "run", "--select", "+base_sparkify__rows")
    (tmp_path / "good" / "b.json").write_text(as_json(events()))
    transform.build(settings, "--select", "+base_sparkify__rows", events=str(tmp_path / "good"))


def verdict(spark, check: str):
    """What the last run of a check said, which is named by its beginning."""
    return spark.sql(
        "select status, failure_count from sparkify.quality_ledger"
        f" where check_name like '{check}%' order by checked_at desc limit 1"
    ).first()


@pytest.mark.long
@pytest.mark.parametrize("days", [8, 90])
def test_a_clock_that_was_wrong_is_told(spark, settings, tmp_path, days):
    far = START_MS + days * 86_400_000
    (tmp_path / "a.json").write_text(as_json(events() + events(1, ts=far)))
    transform.build(settings, "--select", "path:models/staging", events=str(tmp_path))
    found = verdict(spark, "no_gap")
    assert (found.status, found.failure_count) == ("warn", 1)


@pytest.mark.long
def test_one_wrong_file_of_many_is_told(spark, settings, tmp_path):
    for day in range(10):
        rows = events(30, ts=START_MS + day * 86_400_000)
        (tmp_path / f"day-{day}.json").write_text(as_json(rows))
    for name, wrong in (("in-seconds", {"ts": START_MS // 1000}), ("no-level", {"level": "x"})):
        (tmp_path / f"{name}.json").write_text(as_json([row | wrong for row in events(30)]))
    (tmp_path / "short.json").write_text(as_json([row | {"ts": 1} for row in events(3)]))
    # A day that is one line, of which nothing is left, and one on which nobody was logged in.
    (tmp_path / "cut.json").write_text(json.dumps(events(100))[:-5])
    (tmp_path / "wrapped.json").write_text(json.dumps({"events": events(100)}))
    nobody = events(100, auth="Logged Out", userId="")
    (tmp_path / "nobody.json").write_text(as_json(nobody))
    transform.build(settings, "--select", "path:models/staging", events=str(tmp_path))
    found = verdict(spark, "wrong_files")
    assert (found.status, found.failure_count) == ("warn", 4)


@pytest.mark.long
def test_who_is_not_logged_in_does_not_hide_that_the_others_are_rejected(settings, tmp_path):
    rows = events(85, auth="Logged Out", userId="") + [row | {"page": ""} for row in events(15)]
    (tmp_path / "a.json").write_text(as_json(rows))
    with pytest.raises(CheckFailed, match="rejected_share"):
        transform.build(settings, "--select", "path:models/staging", events=str(tmp_path))


@pytest.mark.slow
def test_the_names_of_many_files_have_room(spark, staged, tmp_path):
    """Where names do not say what files are, each is listed; a view has no room for so many."""
    pd.DataFrame(events(1)).to_parquet(tmp_path / "part-0")
    for i in range(1, 400):
        os.link(tmp_path / "part-0", tmp_path / f"part-{i:05}-{'x' * 80}")
    staged(tmp_path)
    copies = spark.sql("select copy_count from sparkify.stg_sparkify__events").collect()
    assert [row.copy_count for row in copies] == [400]


@pytest.mark.long
def test_a_log_that_was_exported_twice_with_other_values_is_told(spark, settings, tmp_path):
    (tmp_path / "a.json").write_text(as_json(events()))

    def built():
        transform.build(settings, "--select", "+int_sparkify__session_days", events=str(tmp_path))
        return verdict(spark, "one_event_in_a_place")

    assert built().status == "pass"
    (tmp_path / "again.json").write_text(as_json([row | {"length": 1.5} for row in events()]))
    found = built()
    assert (found.status, found.failure_count > 0) == ("warn", True)


def test_a_file_that_spark_does_not_find_stops_a_run(settings, monkeypatch, tmp_path):
    (tmp_path / "a.json").write_text(as_json(events()))
    (tmp_path / "empty.json").touch()
    transform.register_events(settings, str(tmp_path))
    described = transform.described(settings, str(tmp_path))
    assert described["count"] == 1
    monkeypatch.setattr(transform, "described", lambda *_: described | {"count": 2})
    with pytest.raises(BadInput, match="of 2 files at .* Spark finds 1"):
        transform.register_events(settings, str(tmp_path))


def test_java_has_the_names_of_files_in_utf8_whatever_the_locale(settings, monkeypatch):
    monkeypatch.setenv("LC_ALL", "POSIX")
    monkeypatch.setattr("locale.getencoding", lambda: "ANSI_X3.4-1968")
    settings.export()
    assert os.environ["LC_ALL"] == "C.UTF-8"


def test_a_field_that_is_a_list_is_refused_with_its_file(staged, tmp_path):
    frame = pd.DataFrame(events()).assign(page=[["NextSong"]] * 6)
    frame.to_parquet(tmp_path / "lists.parquet")
    with pytest.raises(BadInput, match="column page of .*lists.parquet is array<string>"):
        staged(tmp_path)


def test_a_file_cut_off_within_its_compression_is_named(staged, tmp_path):
    (tmp_path / "cut.json.gz").write_bytes(gzip.compress(as_json(events()).encode())[:-30])
    with pytest.raises(BadInput, match="cut.json.gz cannot be read"):
        staged(tmp_path)


def test_files_that_are_passed_over_are_found(tmp_path):
    names = ("_SUCCESS", "a.json", "_b.json", ".c.json.crc", "_day=1/d.json", "_tmp/e.json")
    called_alike = ("_started_2018.json", "_SUCCESSFUL.json", "_metadata_events.json", "_x.crc")
    for name in (*names, "_started_12", *called_alike):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("{}")
    found = find_files(tmp_path)
    assert [file.name for file in found.files] == ["d.json", "a.json"]
    passed_over = {file.name for file in found.passed_over}
    assert passed_over == {"_b.json", "e.json", *called_alike}


def test_a_hidden_folder_that_nobody_may_look_into_is_not_missed(monkeypatch, tmp_path):
    (tmp_path / "a.json").write_text("{}")

    def walk(folder, *, onerror, **_):
        onerror(PermissionError(13, "Permission denied", f"{folder}/{name}"))
        yield str(folder), [], ["a.json"]

    monkeypatch.setattr(os, "walk", walk)
    name = ".Trash-0"
    assert [file.name for file in find_files(tmp_path).files] == ["a.json"]
    name = "days"
    assert "days cannot be read (Permission denied)" in refused(tmp_path)


@pytest.mark.long
def test_any_bytes_are_accounted_for(spark, staged, tmp_path):
    """Of every file as many lines as it has, counted here without Spark."""
    chance = random.Random(0)
    rows = as_json(events()).encode()
    written = {"good.json": rows}
    pieces = [
        b"{",
        b"}",
        b"[",
        b"]",
        b'"',
        b",",
        b":",
        b"\\",
        b"\r",
        b"\n",
        b"\x00",
        b"\xff",
        b"\xc3",
    ]
    pieces += [
        "é\u2028".encode(),
        b"\xef\xbb\xbf",
        b"null",
        b"NaN",
        b" ",
        b"\t",
        *rows.split(b"\n"),
    ]
    for number in range(150):
        content = b"".join(chance.choices(pieces, k=chance.randint(1, 60)))
        if number % 3 == 0:
            cut, length = chance.randrange(len(rows)), chance.randint(0, 9)
            content = rows[:cut] + chance.randbytes(length) + rows[cut + chance.randint(0, 9) :]
        written[f"{number}.json{'.gz' if number % 5 == 0 else ''}"] = content
    for name, content in written.items():
        is_packed = name.endswith(".gz")
        (tmp_path / name).write_bytes(gzip.compress(content) if is_packed else content)
    lines = {}
    for name, content in written.items():
        text = content.removeprefix(b"\xef\xbb\xbf")
        lines[name] = len([each for each in re.split(rb"\r\n|\r|\n", text) if each.strip(b" \t")])

    def accounted_for() -> dict[str, int]:
        counts = "select source_file, count_if(is_line_start) from sparkify.base_sparkify__rows"
        found = {Path(name).name: n for name, n in spark.sql(f"{counts} group by 1").collect()}
        return {name: found.get(name, 0) for name in lines}

    staged(tmp_path)
    assert accounted_for() == lines
    # By the limits that hold without a word such a log stops, with every line counted.
    again = CliRunner().invoke(cli, ["build", "--events", str(tmp_path)]).exception
    assert again.exit_code == 4 and "rejected_share" in str(again)
    assert accounted_for() == lines


def test_a_column_that_nothing_reads_makes_no_form_of_its_own(tmp_path):
    pd.DataFrame(events(1)).to_parquet(tmp_path / "a.parquet")
    other = pd.DataFrame(events(1)).assign(campaign="spring", tags=[[1]])
    other.to_parquet(tmp_path / "b.parquet")
    (form,) = find_forms(find_files(tmp_path).files)
    assert form.listed == []


def test_hundreds_of_files_are_listed_as_forms_of_few(tmp_path):
    pd.DataFrame(events(1)).to_parquet(tmp_path / "whole.parquet")
    pd.DataFrame(events(1)).astype({"userId": int}).to_parquet(tmp_path / "ids.parquet")
    for number in range(300):
        (tmp_path / f"{number}.parquet").hardlink_to(tmp_path / "whole.parquet")
        (tmp_path / f"{number}.json").write_text("{}")
    first, second = find_forms(find_files(tmp_path).files)
    assert (first.listed, second.listed) == ([], [tmp_path / "ids.parquet"])
