"""Every line of the source ends up accepted, or rejected with a reason."""

import json
from collections import Counter

import pytest

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
]
REJECTED = {
    "malformed_json": ["{bad", "[1, 2]", "null", "17", line()[:-40]],
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
}


@pytest.fixture(scope="module")
def staged(build, tmp_path_factory):
    folder = tmp_path_factory.mktemp("it's; odd") / "2018" / "10"
    folder.mkdir(parents=True)
    rejected = [text for texts in REJECTED.values() for text in texts]
    # A byte-order mark, Windows line ends, blank lines and no newline at the end.
    text = "\ufeff" + "\r\n".join(ACCEPTED[:3]) + "\r\n\r\n" + "\n".join([*ACCEPTED[3:], *rejected])
    (folder / "events.json").write_bytes(text.encode())
    build(folder.parents[1], "--select", "path:models/staging")


def test_every_rejected_row_has_its_reason(spark, staged):
    rows = spark.table("sparkify.stg_sparkify__rejected_events").collect()
    assert Counter(row.rejection_reason for row in rows) == {
        reason: len(texts) for reason, texts in REJECTED.items()
    }
    assert all(row.raw_row and "events.json" in row.source_file for row in rows)


def test_the_same_event_in_other_types_is_one_event(spark, staged):
    rows = spark.table("sparkify.stg_sparkify__events").orderBy("item_in_session").collect()
    assert [(row.item_in_session, row.copy_count) for row in rows] == [(50, 4), (51, 1), (52, 1)]


def test_fields_are_typed_and_quotes_survive(spark, staged):
    first, _, last = (
        spark.table("sparkify.stg_sparkify__events").orderBy("item_in_session").collect()
    )
    assert (first.user_id, first.session_id, str(first.event_date)) == ("30", "29", "2018-10-01")
    assert (first.platform, first.state, first.song_length_s) == ("iPhone", "MO", 277.89016)
    assert (first.artist, first.song) == (GOOD["artist"], GOOD["song"])
    assert (last.state, last.registered_at, last.gender) == (None, None, None)


def test_names_of_people_are_never_read(spark, staged):
    for table in ("sparkify_raw.events", "sparkify.base_sparkify__rows"):
        assert not {"firstname", "lastname"} & {
            column.lower().replace("_", "") for column in spark.table(table).columns
        }
