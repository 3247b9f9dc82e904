"""Every line of the source ends up accepted, or rejected with a reason."""

import bz2
import gzip
import json
import shutil
from collections import Counter
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

from sparkify import transform
from sparkify.errors import BadInput, CheckFailed

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
    line(itemInSession=57) + ",",  # a line of an array over several lines
]
# What the lines above hold: an array on one line is as many rows.
ACCEPTED_ROWS = len(ACCEPTED) + 1
REJECTED = {
    "anonymous": [line(auth="Logged Out", userId=""), line(auth="Guest", userId="1261737")],
    "missing_user_id": [line(userId=""), line(userId="  "), line(userId=...)],
    "invalid_ts": [
        line(ts=1538352117),  # seconds: 1970
        line(ts=7258118400000),  # 2200
        line(ts="yesterday"),
        line(ts=...),
        line(ts=10**30),
    ],
    "missing_page": [line(page=...), line(page="")],
    "missing_session_id": [line(sessionId=...), line(sessionId=" ")],
    # The brackets of an array over several lines, and at the end of the file half a line.
    "malformed_json": [
        *("{bad", "[1, 2]", "null", "17", "[" + "x" * 10_000_000, "[", "]", line()[:-40])
    ],
}


@pytest.fixture(scope="module")
def staged(settings, tmp_path_factory):
    folder = tmp_path_factory.mktemp("it's; odd") / "2018" / "10"
    folder.mkdir(parents=True)
    rejected = [text for texts in REJECTED.values() for text in texts]
    # A byte-order mark, Windows line ends, blank lines and no newline at the end.
    text = "\ufeff" + "\r\n".join(ACCEPTED[:3]) + "\r\n\r\n" + "\n".join([*ACCEPTED[3:], *rejected])
    (folder / "events.json").write_bytes(text.encode())
    stage(settings, folder.parents[1])


def stage(settings, folder: Path) -> None:
    transform.register_events(settings, str(folder))
    build_staging(settings)


def build_staging(settings) -> None:
    """Build and test the staging models, and let pass whatever share is rejected."""
    transform.run_dbt(
        settings,
        *("build", "--select", "path:models/staging"),
        *("--exclude-resource-type", "unit_test"),
        *("--vars", json.dumps({"max_rejected_share": 1})),
    )


def test_every_rejected_row_has_its_reason(spark, staged):
    rows = spark.table("sparkify.stg_sparkify__rejected_events").collect()
    assert Counter(row.rejection_reason for row in rows) == {
        reason: len(texts) for reason, texts in REJECTED.items()
    }
    assert all(row.raw_row and "events.json" in row.source_file for row in rows)


def test_the_same_event_in_other_types_is_one_event(spark, staged):
    rows = spark.table("sparkify.stg_sparkify__events").orderBy("item_in_session").collect()
    assert [(row.item_in_session, row.copy_count) for row in rows] == [
        (50, 4),
        *((item, 1) for item in range(51, 58)),
    ]
    assert sum(row.copy_count for row in rows) == ACCEPTED_ROWS


def test_fields_are_typed_and_quotes_survive(spark, staged):
    first, _, last, twice, *_ = (
        spark.table("sparkify.stg_sparkify__events").orderBy("item_in_session").collect()
    )
    assert (first.user_id, first.session_id, str(first.event_date)) == ("30", "29", "2018-10-01")
    assert (first.platform, first.state, first.song_length_s) == ("iPhone", "MO", 277.89016)
    assert (first.artist, first.song) == (GOOD["artist"], GOOD["song"])
    assert (last.state, last.registered_at, last.gender) == (None, None, None)
    assert twice.song == "the last of two keys"


def test_names_of_people_are_never_read(spark, staged):
    for table in ("sparkify_raw.events", "sparkify.base_sparkify__rows"):
        assert not {"firstname", "lastname"} & {
            column.lower().replace("_", "") for column in spark.table(table).columns
        }


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


def test_parquet_of_typed_columns_gives_the_same_events(spark, settings, tmp_path):
    texts = [line(itemInSession=item, song=f"song {item}") for item in range(3)]
    (tmp_path / "json").mkdir()
    columns = ["event_id", "user_id", "session_id", "event_at", "registered_at", "song_length_s"]

    def staged_events() -> pd.DataFrame:
        events = spark.table("sparkify.stg_sparkify__events").orderBy("item_in_session")
        return events.select(columns).toPandas()

    frame = pd.DataFrame(map(json.loads, texts)).drop(columns="gender").assign(userId=30)
    for name in ("ts", "registration"):
        frame[name] = pd.to_datetime(frame[name], unit="ms", utc=True)
    (tmp_path / "parquet").mkdir()
    frame.to_parquet(tmp_path / "parquet" / "a.parquet", coerce_timestamps="us")
    without_gender = [json.dumps({**json.loads(text), "gender": None}) for text in texts]
    (tmp_path / "json" / "a.json").write_text("\n".join(without_gender))
    found = []
    for folder in ("json", "parquet", "json"):
        stage(settings, tmp_path / folder)
        found.append(staged_events())
    # Where the names of files do not tell Parquet, a var does.
    shutil.copytree(tmp_path / "parquet", tmp_path / "unnamed")
    (tmp_path / "unnamed" / "a.parquet").rename(tmp_path / "unnamed" / "a")
    path = json.dumps({"path": str(tmp_path / "unnamed")})
    form = json.dumps({"events_format": "parquet"})
    transform.run_dbt(settings, "run-operation", "register_events", "--args", path, "--vars", form)
    build_staging(settings)
    found.append(staged_events())
    for other in found[1:]:
        pd.testing.assert_frame_equal(found[0], other)


def test_too_many_broken_rows_stop_a_build_before_the_marts(spark, settings, build, tmp_path):
    (tmp_path / "good").mkdir()
    (tmp_path / "bad").mkdir()
    good = [line(itemInSession=item) for item in range(8)]
    logged_out = [line(auth="Logged Out", userId="")] * 20
    (tmp_path / "good" / "a.json").write_text("\n".join([*good, *logged_out, "{broken"]))
    (tmp_path / "bad" / "a.json").write_text("\n".join([*good[:5], "{broken", "{broken"]))
    core = ("--select", "+fct_user_days")
    build(tmp_path / "good", *core)
    with pytest.raises(CheckFailed, match="rejected_share") as failure:
        build(tmp_path / "bad", *core)
    assert failure.value.exit_code == 4
    for mart in ("int_sparkify__session_days", "fct_user_days"):
        days = spark.table(f"sparkify.{mart}")
        assert days.selectExpr("sum(event_count)").first()[0] == len(good)


@pytest.mark.parametrize("text", ["", "\n\n", line(auth="Logged Out", userId="")])
def test_files_without_any_event_are_bad_input(settings, build, tmp_path, text):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(BadInput, match="no events") as failure:
        build(tmp_path, "--select", "path:models/staging")
    assert failure.value.exit_code == 3


@pytest.mark.parametrize(
    ("definition", "words"),
    [
        ({"churn_definition": "bored"}, "churn_definition is not one of cancelled"),
        ({"churn_definition": "inactive", "inactive_days": 60}, "nobody who was active"),
        ({"horizon_days": 0}, "horizon_days is 0"),
        ({"active_days": 60}, "reach back active_days"),
        ({"churn_pages": []}, "churn_pages must be a list"),
        ({"snapshot_weekday": "Moonday"}, "snapshot_weekday is not one of Monday"),
        ({"feature_windows": [28, 7]}, "two or more days in rising order"),
        ({"downgrade_pages": []}, "downgrade_pages must be a list"),
        ({"customer_value": 5}, "customer_value must exceed offer_cost"),
    ],
)
def test_definitions_that_cannot_be_are_refused_before_anything_runs(settings, definition, words):
    said = []
    with pytest.raises(BadInput, match=words):
        transform.run_dbt(settings, "run", "--vars", json.dumps(definition), say=said.append)
    assert not said
