"""Every value of the feature tables is what the descriptions of the columns say."""

import csv
import datetime as dt
import json
import math
import random
from collections import Counter, defaultdict
from pathlib import Path

import pytest
import yaml

from sparkify import transform
from tests.sparkify import generated, oracle

PROJECT = Path(__file__).parents[2]
DEFINITIONS = yaml.safe_load((PROJECT / "dbt_project.yml").read_text())["vars"]
MODELS = (
    "+fct_user_snapshots",
    "+fct_user_features",
    "stg_sparkify__rejected_events",
    "stg_sparkify__nulled_values",
)
TABLES = {"fct_user_snapshots": oracle.snapshots, "fct_user_features": oracle.to_score}
OTHER_DEFINITIONS = {
    "as_they_are": {},
    "downgrades_count_too": {
        "churn_definition": "cancelled_or_downgraded",
        "churn_pages": ["Cancel", "Cancellation Confirmation"],
        "downgrade_pages": ["Submit Downgrade", "Downgrade"],
        "horizon_days": 7,
        "active_days": 20,
        "snapshot_weekday": "Tuesday",
        "min_history_days": 10,
        "feature_windows": [3, 10, 30],
    },
    "inactivity_in_a_shorter_period": {
        "churn_definition": "inactive",
        "inactive_days": 12,
        "horizon_days": 21,
        "active_days": 31,
        "snapshot_weekday": "Sunday",
        "min_history_days": 1,
        "feature_windows": [4, 33],
        "anonymous_auths": ["Logged Out", "Cancelled"],
        "first_valid_date": "2018-10-03",
        "last_valid_date": "2018-11-29",
    },
}
# Estimated by sketches, which are all but exact for as many titles as a user of this log hears.
SKETCHED = ("distinct_artist_per_song", "distinct_song_per_song")
SKETCH_TOLERANCE = 0.002

EVENTFUL_PAGES = ("NextSong", "Thumbs Down", "Error", "Roll Advert")

# Sums over the whole history of the two users, in the file of true aggregates.
TRUE_SUMS = {
    "next_song_count": "song_count",
    "thumbs_up_count": "thumbs_up_count",
    "thumbs_down_count": "thumbs_down_count",
    "advert_count": "advert_count",
    "add_friend_count": "add_friend_count",
    "add_playlist_count": "add_to_playlist_count",
    "error_count": "error_count",
    "help_count": "help_count",
    "home_count": "home_count",
    "settings_count": "settings_count",
    "downgrade_count": "downgrade_page_count",
    "upgrade_count": "upgrade_page_count",
    "submit_downgrade_count": "submit_downgrade_count",
    "submit_upgrade": "submit_upgrade_count",
    "session_count": "session_count",
}


@pytest.fixture(scope="module")
def hostile_log() -> dict[str, bytes]:
    return generated.hostile_log(seed=1, users=300)


@pytest.fixture(scope="module")
def registered_log(spark, settings, hostile_log, tmp_path_factory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("hostile")
    for name, content in hostile_log.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    transform.register_events(settings, str(folder))
    return hostile_log


@pytest.mark.long
@pytest.mark.parametrize("changed", OTHER_DEFINITIONS.values(), ids=OTHER_DEFINITIONS)
def test_every_row_and_value_is_what_its_description_says(spark, settings, registered_log, changed):
    transform.run_dbt(settings, "run", "--select", *MODELS, "--vars", json.dumps(changed))
    definitions = DEFINITIONS | changed
    log = oracle.read(registered_log, definitions)
    problems = differences("staging", {"rows": summary(log)}, {"rows": summary_of_tables(spark)})
    for table, expected in TABLES.items():
        wanted = expected(log.events, definitions)
        assert len(wanted) > 20
        problems += differences(table, wanted, rows_of(spark, table))
    assert not problems, "\n".join([f"{len(problems)} differences", *problems[:40]])


@pytest.mark.long
def test_years_of_use_and_a_clock_years_off_are_features_like_others(spark, settings, tmp_path):
    changed = {"feature_windows": [1, 2], "active_days": 2}
    chance, first_days = random.Random(4), {"daily": 0, "later": 5, "with a clock years off": 690}
    rows = [
        {"ts": generated.START_MS + day * generated.DAY_MS, "page": chance.choice(EVENTFUL_PAGES)}
        | {"userId": user, "sessionId": day}
        for user, first in first_days.items()
        for day in [*range(first, 700), *([23_000] if "off" in user else [])]
    ]
    content = "\n".join(map(json.dumps, rows))
    (tmp_path / "log.json").write_text(content)
    transform.register_events(settings, str(tmp_path))
    transform.run_dbt(settings, "run", "--select", *MODELS, "--vars", json.dumps(changed))
    definitions = DEFINITIONS | changed
    events = oracle.read({"log.json": content.encode()}, definitions).events
    problems = [
        line
        for table, expected in TABLES.items()
        for line in differences(table, expected(events, definitions), rows_of(spark, table))
    ]
    assert not problems, "\n".join([f"{len(problems)} differences", *problems[:40]])


def summary(log: oracle.Log) -> dict:
    """What became of the rows that were read."""
    return (
        {"events": len(log.events), "duplicates": log.duplicates}
        | {f"rejected, {reason}": count for reason, count in log.rejected.items()}
        | {f"{field}, {reason}": count for (field, reason), count in log.nulled.items()}
    )


def summary_of_tables(spark) -> dict:
    events = spark.table("sparkify.stg_sparkify__events")
    count, copies = events.selectExpr("count(*)", "sum(copy_count)").first()
    rejected = spark.table("sparkify.stg_sparkify__rejected_events").select("rejection_reason")
    nulled = spark.table("sparkify.stg_sparkify__nulled_values").collect()
    return (
        {"events": count, "duplicates": copies - count}
        | Counter(f"rejected, {row.rejection_reason}" for row in rejected.collect())
        | {f"{row.field}, {row.reason}": row.row_count for row in nulled}
    )


def rows_of(spark, table: str) -> dict[oracle.Key, oracle.Row]:
    rows = [row.asDict() for row in spark.table(f"sparkify.{table}").collect()]
    for row in rows:
        row.pop("input_version", None)
    return {(row.pop("user_id"), row.pop("as_of_date")): row for row in rows}


def differences(table: str, expected: dict, found: dict) -> list[str]:
    """Rows that are missing or too many, and values that are not what they should be."""
    lines = [f"{table}: no row of {key}" for key in expected.keys() - found.keys()]
    lines += [f"{table}: a row of {key}, who has none" for key in found.keys() - expected.keys()]
    for key in expected.keys() & found.keys():
        wanted, got = expected[key], found[key]
        lines += [
            f"{table}.{column} of {key}: {got.get(column, 'nothing')!r},"
            f" not {wanted.get(column, 'nothing')!r}"
            for column in wanted.keys() | got.keys()
            if not same(column, wanted.get(column, "nothing"), got.get(column, "nothing"))
        ]
    return sorted(lines)


def same(column: str, wanted, got) -> bool:
    if isinstance(wanted, float) and isinstance(got, float):
        tolerance = SKETCH_TOLERANCE if column.startswith(SKETCHED) else 1e-9
        return math.isclose(wanted, got, rel_tol=tolerance)
    return type(wanted) is type(got) and wanted == got


def test_the_hostile_log_holds_every_case(hostile_log):
    log = oracle.read(hostile_log, DEFINITIONS)
    assert set(log.rejected) == {
        *("malformed_json", "anonymous", "missing_user_id", "invalid_ts"),
        *("missing_page", "missing_session_id"),
    }
    assert set(log.nulled) == {
        *((field, "not_a_whole_number") for field in ("item_in_session", "status")),
        *((field, "out_of_range") for field in ("item_in_session", "status", "song_length_s")),
        *((field, "unknown_value") for field in ("level", "method", "gender", "state")),
        *((field, "not_a_song") for field in ("artist", "song", "song_length_s")),
        *(("registered_at", "invalid_time"), ("song_length_s", "not_a_number")),
    }
    assert log.duplicates > 1000
    for expected in TABLES.values():
        rows = expected(log.events, DEFINITIONS)
        values = {
            column: {row[column] for row in rows.values()} for column in next(iter(rows.values()))
        }
        assert not [column for column, some in values.items() if len(some) < 2]
    labels = [row["days_to_churn"] for row in oracle.snapshots(log.events, DEFINITIONS).values()]
    assert set(labels) == {None, *range(14)}
    dates, users, cancelled, back = defaultdict(set), defaultdict(set), set(), set()
    for event in sorted(log.events, key=lambda event: event.ts):
        dates[event.user_id, event.session_id].add(event.day)
        users[event.session_id].add(event.user_id)
        if event.user_id in cancelled:
            back.add(event.user_id)
        if event.page == "Cancellation Confirmation":
            cancelled.add(event.user_id)
    assert max(map(len, dates.values())) > 1 and max(map(len, users.values())) > 1
    assert back and {"Submit Downgrade", "Submit Upgrade"} <= {each.page for each in log.events}


@pytest.mark.parametrize(
    ("written", "read"),
    [
        *(("101", "101"), ("101.0", "101"), ("3.", "3"), ("1.2345678E7", "12345678")),
        *(("1.0E7", "10000000"), ("1e+15", "1000000000000000"), (" 8\t", "8")),
        ("10000000000000000.0", "10000000000000000"),
        *((name, name) for name in ("007", "v1.0", "1.5", "5e3", "1.23E1", "-", "NaN7")),
    ],
)
def test_an_id_is_the_whole_number_it_denotes_or_else_its_text(written, read):
    row = {"ts": 1538352117000, "page": "Home", "userId": written, "sessionId": written}
    event = oracle.read({"a": json.dumps(row).encode()}, DEFINITIONS).events[0]
    assert (event.user_id, event.session_id) == (read, read)


def test_other_writing_makes_no_other_event():
    """A plain log and the same one rewritten hold the same events."""
    files = generated.plain_log(seed=2, users=40)
    log = oracle.read(files, DEFINITIONS)
    again = oracle.read(generated.rewritten(files, seed=3), DEFINITIONS)
    assert set(again.events) == set(log.events) and not again.nulled
    assert (again.duplicates, again.rejected) == (log.duplicates, log.rejected)


def test_sums_over_all_days_equal_the_true_aggregates_of_two_users(real_data):
    log = oracle.read(of_two_users(real_data), DEFINITIONS)
    assert not log.rejected and not log.duplicates
    always = {"feature_windows": [400], "active_days": 400, "churn_pages": []}
    found = oracle.to_score(log.events, DEFINITIONS | always)
    with (real_data / "mini_225_users.csv").open() as file:
        true = {row["userId"]: row for row in csv.DictReader(file)}
    for (user, date), row in found.items():
        assert date == dt.date(2018, 12, 1)
        for theirs, ours in TRUE_SUMS.items():
            assert row[f"{ours}_400d"] == int(true[user][theirs]), (user, ours)
        assert row["listening_s_400d"] == pytest.approx(float(true[user]["sum_length"]), abs=1)
        assert row["gender"] == true[user]["gender"]
    assert {user for user, _ in found} == {"18", "30"}


def test_of_two_real_users_the_one_who_cancels_has_the_label(real_data):
    log = oracle.read(of_two_users(real_data), DEFINITIONS)
    fridays = {"snapshot_weekday": "Friday", "min_history_days": 1}
    rows = oracle.snapshots(log.events, DEFINITIONS | fridays)
    labels = {key: (row["is_churned_next_14d"], row["days_to_churn"]) for key, row in rows.items()}
    # User 18 cancels on Sunday 2018-10-07 and has no row of a later date.
    assert {key for key in labels if key[0] == "18"} == {("18", dt.date(2018, 10, 5))}
    assert labels["18", dt.date(2018, 10, 5)] == (True, 2)
    assert labels["30", dt.date(2018, 10, 5)] == (False, None)
    assert labels["30", dt.date(2018, 11, 30)] == (None, None)


def of_two_users(real_data: Path) -> dict[str, bytes]:
    return {
        name: (real_data / name).read_bytes() for name in ("mini_user18.jsonl", "mini_user30.jsonl")
    }
