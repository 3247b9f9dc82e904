"""Every line of the source ends up accepted, or rejected with a reason."""

import bz2
import gzip
import json
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from py4j.protocol import Py4JError
from pyspark.errors import PySparkException

from ml.parsing import BLANKS
from sparkify import ledger, transform
from sparkify.errors import BadInput, CheckFailed
from sparkify.settings import PROJECT
from sparkify.stages import RETENTION, check_tables
from sparkify.vars import check_vars

GOOD = {
    "ts": 1538352117000,
    "userId": "30",
    "sessionId": 29,
    "page": "NextSong",
    "auth": "Logged In",
    "method": "PUT",
    "status": 200,
    "level": "paid",
    "itemInSession": 50,
    "location": "Kansas City, MO-KS",
    "userAgent": '"Mozilla/5.0 (iPhone; CPU iPhone OS 7_1_2 like Mac OS X)"',
    "firstName": "Colin",
    "registration": 1538173362000,
    "gender": "M",
    "artist": "Guns N' Roses; drop table",
    "song": "../Rockpools",
    "length": 277.89016,
}


# The line that the README shows.
README_LINE = re.search(r"^```json\n({.*})$", (PROJECT / "README.md").read_text(), flags=re.M)[1]


def line(**changes) -> str:
    return json.dumps({name: v for name, v in (GOOD | changes).items() if v is not ...})


ACCEPTED = [
    line(),
    line(),  # the same event again
    line(userId=30, ts="1538352117000", sessionId="29"),  # and again, in other types
    line(userId="30.0", registration=1538173362000.0),  # and again, as floats
    line(itemInSession=51, extra={"unknown": 1}),
    line(itemInSession=52, location=..., registration="soon", gender=...),
    line(itemInSession=53)[:-1] + ', "song": "the last of two keys"}',
    f"[{line(itemInSession=54)}, {line(itemInSession=55)}]",
    line(itemInSession=56, song="x" * 10_000_000),
    # The lines of an array over several lines.
    "[" + line(itemInSession=73) + ",",
    line(itemInSession=57) + ",",
    line(itemInSession=74, end=[1]) + " ]",
    line(itemInSession=58) + line(itemInSession=59, song="}{ } {"),  # as some log shippers write
    f"{line(itemInSession=60)} , {line(itemInSession=61)}\t{line(itemInSession=62)}",
    line(itemInSession=63, song="[feat. ] a bracket"),
    line(itemInSession=64).replace("userId", "USERID").replace("sessionId", "sessionid"),
    line(itemInSession=65, location={"city": "Rome, IT"}),  # a value that is no text
    # A title that is called as a field of which the key is in another case.
    line(itemInSession=66, song="userId").replace('"userId":', '"USERID":'),
    # The last of two keys, here too.
    # Ids that are no floats.
    line(itemInSession=69, userId="+4915112345"),
    line(itemInSession=70, userId="1.000000000001"),
    line(itemInSession=71, userId="007.0"),
    # What spreadsheets and web pages leave around an id.
    line(itemInSession=72, userId=f"{BLANKS}30\0{BLANKS}", sessionId="\ufeff29"),
    README_LINE,
    # Two events that differ in what neither can have.
    line(itemInSession=75, page="Home", artist="a\nb", song="c"),
    line(itemInSession=75, page="Home", artist="a", song="b\nc"),
    # Files put one behind the other, and what a crash cut off.
    "\ufeff" + line(itemInSession=76),
    "\0" * 9 + line(itemInSession=77) + "\u00a0",
    line(itemInSession=67, userId="29")[:-1] + ', "userId": "30"}' + line(itemInSession=68),
]
# What the lines above hold beyond one each: an array, and objects one behind the other.
ACCEPTED_ROWS = len(ACCEPTED) + 5
REJECTED = {
    "anonymous": [line(auth="Logged Out", userId=""), line(auth="Guest", userId="1261737")],
    "missing_user_id": [line(userId=id) for id in ("", "  ", ..., "None", "nan", "<NA>", "null")]
    + [line(userId=id) for id in ("NA", "NONE", "#N/A", "nat", "\u00a0NULL\u00a0", "\u200b")]
    + [line(userId=id) for id in ("True", "FALSE", "Infinity", "-inf", "[object Object]")]
    # As pandas and spreadsheets write long ones, so that several users would be one.
    + [line(userId=id) for id in ("7.6561198e+16", "1e+16", "7.6561198E16", "1.23457E+11")]
    # Of two keys the last, whatever else a line holds.
    + [line(userId="7", extra={"a": 1})[:-1] + ', "userId": null}'],
    "invalid_ts": [
        line(ts=1538352117),  # seconds: 1970
        line(ts=7258118400000),  # 2200
        line(ts="yesterday"),
        line(ts=...),
        line(ts=10**30),
        *(line(ts=text) for text in ("1538352117000d", "0x1.662p40", "1.538352117E12f")),
        line(ts="1.53835E+12"),  # rounded to hours
    ],
    "missing_page": [line(page=...), line(page="")],
    "missing_session_id": [line(sessionId=...), line(sessionId=" ")],
    # The brackets of an array over several lines, and at the end of the file half a line.
    "malformed_json": [
        *("{bad", "[1, 2]", "null", "17", "[" + "x" * 10_000_000, "[", "]", ",", "[]"),
        # A line is taken whole or not at all.
        *(line() + rest for rest in (" and more", "]]", "], [1", "}", ", 17", line()[:-1])),
        *("[" + line() + "] " + rest for rest in ("x", "]", line())),
        *(line(end=1) + rest for rest in ("]]", "] more", "], [" + line())),
        *("[[" + line(), "[" + line() + line()[:-1], line() + line()[1:] + "]"),
        "{" + line() + "}",
        line()[:-40],
        # Names in whatever is left of JSON.
        *(
            f"{text}, "
            for text in (
                '{"FIRSTNAME": "Colin"',
                '{"first_name": Colin Jones',
                "{'lastName' : 'Colin'",
                r'{"lastName": "O\"Colin"',
                r"{\"firstName\": \"O\\\"Colin\"",
                '{"lastName" "Colin"',
                '{"firstName": {"first": "Colin"}',
                '{"firstName": "Jo, "lastName": "Colin"',
                "<lastName>Colin</lastName>",
                'Colin", "page": "Home"',
                # Quotes that should have been escaped, or that the line was cut at.
                '{"firstName": "Jo "Colin", "page": "Home"',
                '{"firstName": "Jo, "Colin", Jr", "page": "Home"',
                "{'lastName': 'O'Colin', 'page': 'Home'",
                r'{"event": "{\"firstName\": \"Jo \"Colin\"\", \"page\": 1',
                '{"firstName": {"a": {"b": "Jo"}, "c": "Colin"}, "page": "Home"',
                '{"firstName":: "Jo, Colin", "page": "Home"',
                'Name": "Colin", "page": "Home"',
                '"Colin", "page": "Home"',
                '": "Colin", "page": "Home"',
                r'Jo \"Colin\"", "page": "Home"',
                '{"firstName": "Jo "Colin"", "status": 200, "auth": "said',
                # What was never JSON, in half or in whole.
                '"firstName","Colin","lastName","Colin","page","NextSong"',
                '("firstName", "Jo"), ("lastName", "Colin")',
                'user "firstName","Colin","lastName","Colin"',
                "('firstName', 'Jo'), ('lastName', 'Colin')",
                "{&quot;firstName&quot;:&quot;Colin&quot;,",
                '{"firstName":Jo, Jr. Colin, "x',
                "firstName=Jo, Colin; page=Home",
                "{\u201cfirstName\u201d: \u201cJo, Colin\u201d}",
                "Colin', 'lastName': 'Jo'}",
                "e': 'Colin', 'lastName': 'Jo', 'page': 'Home'}",
                'me": "Colin [x]", "page": "x"}',
                '{"firstName":("Jo","Colin")',
                '{"first  name":"Colin"',
                '{"first.name":"Colin"',
                '{"fir\u017ftName":"Colin"',
                '{"firstName":"Jo"} Colin"}',
            )
        ),
        # The rest of the line is kept.
        '{"firstName": "Colin", "status": 200, "auth": "said',
    ],
}


@pytest.fixture(scope="module")
def staged(spark, settings, tmp_path_factory):
    folder = tmp_path_factory.mktemp("it's; odd") / "2018" / "10"
    folder.mkdir(parents=True)
    rejected = [text for texts in REJECTED.values() for text in texts]
    # A byte-order mark, Windows line ends, blank lines and no newline at the end.
    text = "\ufeff" + "\r\n".join(ACCEPTED[:3]) + "\r\n\r\n" + "\n".join([*ACCEPTED[3:], *rejected])
    (folder / "events.json").write_bytes(text.encode())
    stage(settings, folder.parents[1])


def stage(settings, folder: Path) -> None:
    """Build and test the staging models, and let pass whatever share is rejected or null."""
    generous = replace(settings, overrides={"max_rejected_share": 1, "max_nulled_share": 1})
    transform.build(generous, "--select", "path:models/staging", events=str(folder))


def test_every_rejected_row_has_its_reason(spark, staged):
    rows = spark.table("sparkify.stg_sparkify__rejected_events").collect()
    assert Counter(row.rejection_reason for row in rows) == {
        reason: len(texts) for reason, texts in REJECTED.items()
    }
    assert all(row.raw_row and "events.json" in row.source_file for row in rows)


def test_the_same_event_in_other_types_is_one_event(spark, staged):
    rows = spark.table("sparkify.stg_sparkify__events").orderBy("item_in_session").collect()
    assert [(row.item_in_session, row.copy_count) for row in rows] == [
        (11, 1),
        (50, 4),
        *((item, 1) for item in range(51, 76)),
        *((item, 1) for item in (75, 76, 77)),
    ]
    assert sum(row.copy_count for row in rows) == ACCEPTED_ROWS


def test_fields_are_typed_and_quotes_survive(spark, staged):
    shown, first, _, last, twice, *_ = (
        spark.table("sparkify.stg_sparkify__events").orderBy("item_in_session").collect()
    )
    assert shown.user_id == "68" and None not in shown.asDict().values()
    assert (first.user_id, first.session_id, str(first.event_date)) == ("30", "29", "2018-10-01")
    assert (first.platform, first.state, first.song_length_s) == ("iPhone", "MO", 277.89016)
    assert (first.artist, first.song) == (GOOD["artist"], GOOD["song"])
    assert (last.state, last.registered_at, last.gender) == (None, None, None)
    assert twice.song == "the last of two keys"


def test_names_of_people_are_kept_nowhere(spark, staged):
    rows = spark.table("sparkify.base_sparkify__rows")
    texts = [name for name, kind in rows.dtypes if kind == "string"]
    assert rows.where(" or ".join(f"{name} like '%Colin%'" for name in texts)).count() == 0
    masked = rows.where("""raw_row like '%"firstName": …", "registration"%'""")
    assert masked.count() > 0
    assert rows.where("""raw_row like '{"firstName": …", "status": 200, "auth": "said'""").count()


def test_files_are_listed_without_their_contents(spark, staged):
    assert spark.sql("select path, length from sparkify_raw.files").first().length > 0
    with pytest.raises(
        (PySparkException, Py4JError), match="FILE_LENGTH_EXCEEDS_MAX_LENGTH|exceeds"
    ):
        spark.sql("select content from sparkify_raw.files").collect()


@pytest.mark.long
def test_files_of_every_compression_encoding_and_depth_are_read(spark, settings, tmp_path):
    def lines(first: int) -> bytes:
        return "\n".join(
            line(itemInSession=first + item, artist="Sigur Rós") for item in (0, 1)
        ).encode()

    deep = tmp_path / "year=2018" / "month=10" / "day 1"
    deep.mkdir(parents=True)
    (tmp_path / "plain.json").write_bytes(lines(0))
    compressed = ("one.json.gz", "two.json.bz2", "three.json.zst")
    (deep / compressed[0]).write_bytes(gzip.compress(lines(2)))
    (deep / compressed[1]).write_bytes(bz2.compress(lines(4)))
    with pa.CompressedOutputStream(str(deep / compressed[2]), "zstd") as file:
        file.write(lines(6))
    (deep / "other.json").write_bytes(lines(8).decode().replace("\\u00f3", "ó").encode("latin-1"))
    (deep / "wide.json").write_bytes(lines(10).decode().encode("utf-16"))
    (deep / "empty.json").write_bytes(b"")
    # A path may go up as well as down.
    stage(settings, deep / ".." / ".." / "..")
    accepted, rejected = (
        Counter(Path(row.source_file).name for row in spark.table(f"sparkify.{table}").collect())
        for table in ("stg_sparkify__events", "stg_sparkify__rejected_events")
    )
    assert accepted == dict.fromkeys(["plain.json", *compressed], 2)
    # What is not UTF-8 is not guessed at: it is kept for who looks why.
    assert rejected == dict.fromkeys(["other.json", "wide.json"], 2)


def named_query(error: Exception) -> str:
    """The query that a message names."""
    return re.search(r'sparkify sql "(select [^"]+)"', str(error))[1]


@pytest.mark.long
def test_too_many_broken_rows_stop_a_build_before_the_marts(spark, settings, build, tmp_path):
    (tmp_path / "good").mkdir()
    (tmp_path / "bad").mkdir()
    # Whose users live elsewhere than in the USA has a log too.
    good = [line(itemInSession=item, location="Berlin, Germany") for item in range(8)]
    logged_out = [line(auth="Logged Out", userId="")] * 20
    (tmp_path / "good" / "a.json").write_text("\n".join([*good, *logged_out, "{broken"]))
    (tmp_path / "bad" / "a.json").write_text("\n".join([*good[:5], "{broken", "{broken"]))
    core = ("--select", "+fct_user_days")
    build(tmp_path / "good", *core)
    with pytest.raises(CheckFailed, match="rejected_share") as failure:
        build(tmp_path / "bad", *core)
    assert failure.value.exit_code == 4
    assert {row.raw_row for row in spark.sql(named_query(failure.value)).collect()} == {"{broken"}
    for mart in ("int_sparkify__session_days", "fct_user_days"):
        days = spark.table(f"sparkify.{mart}")
        assert days.selectExpr("sum(event_count)").first()[0] == len(good)


@pytest.mark.long
@pytest.mark.parametrize("text", ["", "\n\n", line(auth="Logged Out", userId="")])
def test_files_without_any_event_are_bad_input(settings, build, tmp_path, text):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(BadInput, match="no events") as failure:
        build(tmp_path, "--select", "path:models/staging")
    assert failure.value.exit_code == 3


def test_a_value_that_cannot_be_is_null_and_counted_and_the_event_stays(spark, settings, tmp_path):
    """By field: what is written, what is kept of it, and the reason where that is nothing."""
    cases = {
        "item_in_session": ("itemInSession", [("3.0", 3, None), (-1, None, "out_of_range")]),
        "status": (
            "status",
            [(307.0, 307, None), ("404", 404, None), ("ok", None, "not_a_whole_number")]
            + [(2000, None, "out_of_range"), (200.5, None, "not_a_whole_number")],
        ),
        "level": ("level", [("PAID", "paid", None), ("gold", None, "unknown_value")]),
        "method": ("method", [("get", "GET", None), ("STEAL", None, "unknown_value")]),
        "gender": ("gender", [("f", "F", None), ("Z", None, "unknown_value")]),
        "state": (
            "location",
            [("Boston-Quincy, MA-NH", "MA", None), ("San Juan-Carolina-Caguas, PR", "PR", None)]
            + [(place, None, "unknown_value") for place in ("Atlantis", "Paris, FR")],
        ),
        "song_length_s": (
            "length",
            [("277.5", 277.5, None), (0, None, "out_of_range"), (-3, None, "out_of_range")]
            + [(1e9, None, "out_of_range"), ("long", None, "not_a_number")]
            + [(float("nan"), None, None)],
        ),
        "registered_at": (
            "registration",
            [("soon", None, "invalid_time"), (0, None, "invalid_time")],
        ),
    }
    lines, expected, reasons = [], {}, Counter()
    for field, (key, values) in cases.items():
        for value, kept, reason in [*values, ("", None, None), (None, None, None)]:
            expected[str(len(lines))] = (field, kept)
            lines.append(line(sessionId=len(lines), **{key: value}))
            reasons[field, reason] += reason is not None
    lines.append(line(sessionId="other page", page="Home"))
    reasons.update((field, "not_a_song") for field in ("artist", "song", "song_length_s"))
    # Two events, the second of them twice: neither can have its number, and they differ in it.
    no_song = {"page": "Roll Advert", "artist": ..., "song": ..., "length": ...}
    alike = [line(sessionId="alike", itemInSession=f"{n}/20", **no_song) for n in (1, 2, 2)]
    reasons["item_in_session", "not_a_whole_number"] += len(alike)
    (tmp_path / "a.json").write_text("\n".join(lines + alike))
    stage(settings, tmp_path)
    events = spark.table("sparkify.stg_sparkify__events").collect()
    assert sorted(row.copy_count for row in events if row.session_id == "alike") == [1, 2]
    rows = {row.session_id: row for row in events}
    assert len(rows) == len(lines) + 1
    for session, (field, kept) in expected.items():
        assert rows[session][field] == kept, lines[int(session)]
    counted = spark.table("sparkify.stg_sparkify__nulled_values").collect()
    assert {(row.field, row.reason): row.row_count for row in counted} == {
        key: count for key, count in reasons.items() if count
    }
    ledger = spark.table("sparkify.quality_ledger").where("check_name like 'values of status%'")
    last = ledger.agg({"checked_at": "max"}).first()[0]
    assert {row.failure_count for row in ledger.collect() if row.checked_at == last} == {1, 2}


@pytest.mark.long
def test_one_value_of_each_kind_that_cannot_be_stops_no_run(
    spark, settings, build, simulated_days, tmp_path
):
    """Neither dbt's tests nor the expectations stop at what staging has made null."""
    for day, lines in simulated_days.items():
        (tmp_path / f"{day}.json").write_text("\n".join(lines) + "\n")
    wrong = {
        "length": (0, -1, 1e9, float("nan"), "long"),
        "level": ("gold", ...),
        "method": ("STEAL",),
        "status": (20, 2000, "ok"),
        "itemInSession": (-1, 2.5, 2**40),
        "gender": ("Z",),
        "registration": (0, "soon", 4e12),
        "location": ("Atlantis",),
        "userAgent": ("?",),
    }
    last = max(simulated_days)
    given = json.loads(next(each for each in simulated_days[last] if "NextSong" in each))
    lines = [
        json.dumps(
            {
                k: v
                for k, v in (given | {"sessionId": f"{key} {value}", key: value}).items()
                if v is not ...
            }
        )
        for key, values in wrong.items()
        for value in values
    ]
    lines.append(json.dumps(given | {"sessionId": "a song elsewhere", "page": "Home"}))
    (tmp_path / "wrong.json").write_text("\n".join(lines) + "\n")
    ledger.begin_run()
    build(tmp_path, "--exclude", RETENTION)
    counted = spark.table("sparkify.stg_sparkify__nulled_values").collect()
    assert {(row.field, row.reason): row.row_count for row in counted} == {
        ("song_length_s", "out_of_range"): 3,
        ("song_length_s", "not_a_number"): 1,
        ("level", "unknown_value"): 1,
        ("method", "unknown_value"): 1,
        ("status", "out_of_range"): 2,
        ("status", "not_a_whole_number"): 1,
        ("item_in_session", "out_of_range"): 2,
        ("item_in_session", "not_a_whole_number"): 1,
        ("gender", "unknown_value"): 1,
        ("registered_at", "invalid_time"): 2,
        ("state", "unknown_value"): 1,
        **{(field, "not_a_song"): 1 for field in ("artist", "song", "song_length_s")},
    }
    assert check_tables(spark, settings) > 60


@pytest.mark.long
def test_a_field_that_means_something_else_stops_a_build_before_the_marts(
    spark, build, settings, tmp_path
):
    texts = [line(itemInSession=item, level=item % 3) for item in range(9)]
    (tmp_path / "a.json").write_text("\n".join(texts))
    with pytest.raises(CheckFailed, match="nulled_share.*max_nulled_share") as failure:
        build(tmp_path, "--select", "path:models/staging", "int_sparkify__session_days")
    assert failure.value.exit_code == 4
    counted = spark.sql(named_query(failure.value)).collect()
    assert {row.nulled_fields: row[1] for row in counted} == {"level:unknown_value": len(texts)}
    results = json.loads((settings.home / "dbt" / "run_results.json").read_text())["results"]
    found = {each["unique_id"].split(".")[-1]: each["status"] for each in results}
    assert found["base_sparkify__rows"] == "success"
    assert found["base_sparkify__event_dates"] == found["int_sparkify__session_days"] == "skipped"


def test_every_definition_that_cannot_be_is_refused_before_anything_runs(settings):
    """All faults of a kind at once, for each is found without the others."""
    alone = {
        "churn_definition": "bored",
        "horizon_days": 0,
        "active_days": "28",
        "inactive_days": 2.5,
        "min_history_days": True,
        "churn_pages": "Cancel",
        "downgrade_pages": [" "],
        "anonymous_auths": [],
        "snapshot_weekday": "monday",
        "feature_windows": [7, "14"],
        "max_rejected_share": 1.5,
        "user_share": 0,
        "max_nulled_share": "none",
        "min_at_risk": 0,
        "currency": "US$",
        "contact_cost": -1,
        "acceptance": 1,
        "first_valid_date": "2018-02-30",
        "last_valid_date": "soon",
        "events_format": "csv",
        "horizon_day": 7,
    }
    together = {
        "inactive_days is 60, but nobody": {"churn_definition": "inactive", "inactive_days": 60},
        "rising order": {"feature_windows": [28, 28]},
        "must exceed offer_cost": {"customer_value": 10},
        "must lie before last_valid_date": {"first_valid_date": "2101-01-01"},
    }
    # What contradicts is told beside what cannot be.
    both = {k: v for each in together.values() for k, v in each.items()} | {"acceptance": 1}
    said = []
    for faults in (alone, both):
        with pytest.raises(BadInput) as failure:
            transform.run_dbt(replace(settings, overrides=faults), "run", say=said.append)
        words = [*together, "acceptance is"] if faults is both else [f"{name} is" for name in alone]
        assert [each for each in words if each not in str(failure.value)] == []
    assert not said


@pytest.mark.parametrize(
    "windows", [[7], [0, 7], [-7, 28], [28, 7], [7, 7.5], [], "7, 28", [7, 3661]]
)
def test_windows_that_cannot_be_are_refused_beside_other_faults(settings, windows):
    faults = {"feature_windows": windows, "horizon_days": -1}
    with pytest.raises(BadInput) as failure:
        check_vars(replace(settings, overrides=faults))
    assert "feature_windows is" in str(failure.value) and "horizon_days is" in str(failure.value)
