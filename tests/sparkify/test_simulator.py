import json
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sparkify import simulator
from sparkify.errors import BadInput, WrongUse
from sparkify.simulator.behaviour import Life, churn_probability, live
from sparkify.simulator.people import DAY_S
from sparkify.simulator.worlds import WORLDS

USERS, SEED, DAYS = 120, 7, 42
START = date(2018, 10, 1)
START_S = 1_538_352_000
EVERY_ROW = [
    "ts",
    "userId",
    "sessionId",
    "page",
    "auth",
    "method",
    "status",
    "level",
    "itemInSession",
]
PERSON = ["location", "userAgent", "lastName", "firstName", "registration", "gender"]
SONG = ["artist", "song", "length"]


def read_lines(folder: Path) -> list[str]:
    files = sorted((folder / "events").glob("date=*/part-*.json"))
    return [line for file in files for line in file.read_text().split("\n") if line]


def truth(folder: Path, name: str, keys: list[str]) -> pd.DataFrame:
    return pd.read_parquet(folder / "truth" / name).sort_values(keys, ignore_index=True)


@pytest.fixture(scope="module")
def simulated(spark, tmp_path_factory):
    out = tmp_path_factory.mktemp("simulated") / "log"
    summary = simulator.simulate(spark, users=USERS, seed=SEED, out=out, start=START, days=DAYS)
    return out, summary


@pytest.fixture(scope="module")
def events(simulated):
    return [json.loads(line) for line in read_lines(simulated[0])]


@pytest.fixture(scope="module")
def log(events):
    """The rows of users, each user's in order, with the time of a row."""
    rows = pd.DataFrame(events).assign(at=lambda r: pd.to_datetime(r["ts"], unit="ms"))
    return rows[rows["userId"] != ""].sort_values(["userId", "ts", "itemInSession"])


def test_the_same_seed_gives_the_same_rows_and_truth_however_the_work_is_split(
    spark, simulated, tmp_path, monkeypatch
):
    # Parts run as tasks; smaller parts are more tasks, in more files.
    monkeypatch.setattr(simulator, "USERS_PER_PART", 7)
    simulator.simulate(spark, users=USERS, seed=SEED, out=tmp_path / "a", start=START, days=DAYS)
    assert len(list((tmp_path / "a" / "events" / "date=2018-10-02").iterdir())) > 1
    assert sorted(read_lines(tmp_path / "a")) == sorted(read_lines(simulated[0]))
    for table, time in (("daily_hazard", "date"), ("snapshots", "as_of_date")):
        found, expected = (
            truth(out, table, ["user_id", time]) for out in (tmp_path / "a", simulated[0])
        )
        pd.testing.assert_frame_equal(found, expected, check_exact=True)


def test_another_seed_gives_other_rows(spark, simulated, tmp_path):
    simulator.simulate(spark, users=USERS, seed=SEED + 1, out=tmp_path / "b", days=DAYS)
    assert set(read_lines(tmp_path / "b")).isdisjoint(read_lines(simulated[0]))


def test_a_song_row_has_the_fields_types_and_order_of_a_real_row(events):
    row = next(row for row in events if row["page"] == "NextSong")
    assert list(row) == EVERY_ROW + PERSON + SONG
    assert {name: type(value) for name, value in row.items() if not isinstance(value, str)} == {
        "ts": int,
        "sessionId": int,
        "status": int,
        "itemInSession": int,
        "registration": int,
        "length": float,
    }
    assert row["ts"] % 1000 == 0


def test_an_anonymous_row_names_nobody(events):
    anonymous = [row for row in events if row["auth"] in ("Logged Out", "Guest")]
    assert anonymous
    assert {tuple(row) for row in anonymous} == {tuple(EVERY_ROW)}
    assert {row["userId"] for row in anonymous} == {""}


def test_the_log_has_the_quirks_of_real_ones(events):
    assert {row["status"] for row in events} == {200, 307, 404}
    assert any(row.get("userAgent", "").startswith('"') for row in events)
    assert any("Ã" in row.get("artist", "") for row in events)
    pairs = {(row["userId"], row["sessionId"]) for row in events if row["userId"]}
    assert len({session for _, session in pairs}) < len(pairs)


def test_users_change_between_both_levels(log):
    assert set(log["level"]) == {"free", "paid"}
    after = log.groupby("userId")["level"].shift(-1)
    for page, levels in (
        ("Submit Upgrade", ("free", "paid")),
        ("Submit Downgrade", ("paid", "free")),
    ):
        is_change = (log["page"] == page) & after.notna()
        assert is_change.sum() > 5
        assert set(zip(log["level"][is_change], after[is_change], strict=True)) == {levels}


def test_listening_follows_the_hour_and_the_weekday(log):
    songs = log[log["page"] == "NextSong"]
    by_hour = songs["at"].dt.hour.value_counts()
    assert by_hour.max() > 1.5 * by_hour.min()
    assert by_hour.idxmax() in range(12, 22)
    visits = log.drop_duplicates(["userId", "at"]).assign(day=log["at"].dt.normalize())
    by_weekday = visits.drop_duplicates(["userId", "day"])["day"].dt.weekday.value_counts()
    assert by_weekday[[5, 6]].max() < 0.9 * by_weekday[[0, 1, 2, 3]].min()


@pytest.mark.parametrize(("names", "heard"), [(["artist"], 4), (["artist", "song"], 2)])
def test_a_few_are_heard_often_and_most_hardly_ever(log, names, heard):
    plays = log[names].value_counts()
    hundredth = len(plays) // 100
    assert plays.iloc[:hundredth].sum() > 0.1 * plays.sum()
    assert (plays <= heard).mean() > 0.5


def test_some_register_during_the_period_and_begin_then(log, events):
    first = log.groupby("userId").first()
    is_new = first["registration"] >= START_S * 1000
    assert 0 < is_new.sum() < 0.2 * USERS
    late = first["ts"][is_new] - first["registration"][is_new]
    registered = {row["ts"] for row in events if row["page"] == "Submit Registration"}
    assert registered <= set(first["registration"])
    assert (late[first["registration"][is_new].isin(registered)] <= 60_000).all()
    assert len(registered) > 1


def test_sessions_have_silences(log):
    same = log.groupby(["userId", "sessionId"])
    silence_s = same["ts"].shift(-1).sub(log["ts"]).div(1000) - log["length"].fillna(0)
    assert (silence_s > 1800).sum() > 20
    assert (silence_s[log["page"] == "NextSong"] <= 1).mean() > 0.5


def test_a_file_holds_its_day_in_order(simulated):
    for file in (simulated[0] / "events").glob("date=*/*.json"):
        stamps = pd.Series([json.loads(line)["ts"] for line in file.open()])
        assert stamps.is_monotonic_increasing
        days = pd.to_datetime(stamps, unit="ms").dt.date.astype(str).unique()
        assert list(days) == [file.parent.name.removeprefix("date=")]


def test_items_count_up_within_a_session(events):
    named = pd.DataFrame([row for row in events if row["userId"]])
    steps = named.groupby(["userId", "sessionId"])["itemInSession"].diff().dropna()
    assert (steps > 0).all()


def test_a_churner_ends_with_the_cancellation_and_nobody_else_cancels(simulated, events):
    last = {}
    for row in events:
        if row["userId"]:
            last.setdefault(row["userId"], []).append((row["page"], row["auth"]))
    churners = {user for user, rows in last.items() if rows[-1][1] == "Cancelled"}
    for user in churners:
        assert last[user][-2:] == [
            ("Cancel", "Logged In"),
            ("Cancellation Confirmation", "Cancelled"),
        ]
    cancelled = [row["userId"] for row in events if row["auth"] == "Cancelled"]
    assert sorted(cancelled) == sorted(churners)
    assert len(churners) == simulated[1].churners > 0


def test_the_summary_counts_what_was_written(simulated, events):
    users = {row["userId"] for row in events if row["userId"]}
    assert (len(users), len(events)) == (simulated[1].users, simulated[1].rows)


def test_a_user_is_at_risk_until_the_day_of_the_cancellation(simulated, events):
    hazard = pd.read_parquet(simulated[0] / "truth" / "daily_hazard")
    until = hazard.groupby("user_id")["date"].max().to_dict()
    left = {
        row["userId"]: date(1970, 1, 1) + timedelta(milliseconds=row["ts"])
        for row in events
        if row["auth"] == "Cancelled"
    }
    assert {user: until[user] for user in left} == left
    end = START + timedelta(DAYS - 1)
    assert all(day == end for user, day in until.items() if user not in left)


def test_a_probability_knows_nothing_of_its_day_or_later(simulated):
    snapshots = truth(simulated[0], "snapshots", ["as_of_date", "user_id"])
    lives = [
        live(
            np.random.default_rng([index, SEED]),
            WORLDS["usual"],
            index=index,
            start_s=START_S,
            days=DAYS,
        )
        for index in range(USERS)
    ]
    for day in (7, 21, 35):
        present = [o for o in lives if o.first_day <= day and not o.has_left_before(day)]
        ignorant = sorted(
            (without_future(life, day=day) for life in present), key=lambda o: o.profile.user_id
        )
        written = snapshots[snapshots["as_of_date"] == START + timedelta(day)]
        assert list(written["user_id"]) == [life.profile.user_id for life in ignorant]
        assert list(written["probability"]) == list(churn_probability(ignorant, day=day))


def without_future(life: Life, *, day: int) -> Life:
    known = day - life.first_day + 1  # these begin a day before the first
    return replace(
        life,
        sessions=[o for o in life.sessions if o.start_s < START_S + day * DAY_S],
        cancelled_s=None,
        hazard=life.hazard[: known - 1],
        **{name: getattr(life, name)[:known] for name in ("wander", "lived", "level")},
    )


def test_a_label_is_null_until_its_window_is_observed(simulated):
    snapshots = pd.read_parquet(simulated[0] / "truth" / "snapshots")
    assert set(snapshots["as_of_date"]) == {START + timedelta(d) for d in range(7, DAYS, 7)}
    observed = snapshots["as_of_date"] <= START + timedelta(DAYS - 14)
    assert (snapshots["is_churned_next_14d"].notna() == observed).all()
    assert snapshots["probability"].between(0, 1, inclusive="neither").all()


def test_an_earlier_simulation_is_replaced(spark, tmp_path):
    for users in (3, 2):
        simulator.simulate(spark, users=users, seed=1, out=tmp_path / "log", days=10)
    hazard = pd.read_parquet(tmp_path / "log" / "truth" / "daily_hazard")
    assert set(hazard["user_id"]) == {"1", "2"}
    assert [path.name for path in tmp_path.iterdir()] == ["log"]


def test_a_folder_with_other_files_is_refused_and_left_alone(spark, tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(BadInput, match="holds files that no simulation wrote"):
        simulator.simulate(spark, users=3, seed=1, out=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_file_in_the_place_of_the_folder_is_refused(spark, tmp_path):
    (tmp_path / "log").write_text("")
    with pytest.raises(BadInput, match="is a file"):
        simulator.simulate(spark, users=3, seed=1, out=tmp_path / "log")


@pytest.mark.parametrize("wrong", [{"users": 0}, {"seed": -1}, {"days": 0}, {"world": "flat"}])
def test_what_is_out_of_range_is_refused_by_name(spark, tmp_path, wrong):
    with pytest.raises(WrongUse, match=next(iter(wrong))):
        simulator.simulate(spark, **{"users": 3, "seed": 1, "out": tmp_path / "log"} | wrong)


@pytest.mark.parametrize("days", [1, 6, 8])
def test_a_short_period_can_be_simulated(spark, tmp_path, days):
    summary = simulator.simulate(spark, users=40, seed=1, out=tmp_path / "log", days=days)
    assert summary.rows > 0
