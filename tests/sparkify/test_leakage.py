"""No feature sees the future, and scoring sees what training saw."""

import datetime as dt
import json
from pathlib import Path

import pandas as pd
import pytest

from sparkify import transform

pytestmark = pytest.mark.long

LABELS = ["is_churned_next_14d", "days_to_churn", "input_version"]
MARTS = ("--select", "+fct_user_snapshots", "+fct_user_features")
DATES = ("2018-10-15", "2018-10-29", "2018-11-19")
FALSE = {
    "level": "paid",
    "artist": "nobody",
    "registration": 1538352000000,
    "gender": "X",
    "location": "Nowhere, XX",
    "userAgent": "none",
}


def renamed(lines: list[str], prefix: str) -> list[str]:
    """The same lives, lived by others."""
    events = map(json.loads, lines)
    return [
        json.dumps(event | {"userId": prefix + event["userId"]})
        for event in events
        if event["userId"]
    ]


def falsified(lines: list[str]) -> list[str]:
    """All else about users, other pages, twice as often, and a cancellation of everybody."""
    pages = ("Thumbs Down", "Cancellation Confirmation")
    return [
        json.dumps(json.loads(line) | FALSE | {"page": page}) for line in lines for page in pages
    ]


@pytest.fixture(scope="module")
def build_features(spark, settings, tmp_path_factory):
    """A function that builds both feature tables from lines by day."""

    def features(days: dict[str, list[str]]) -> tuple[pd.DataFrame, pd.DataFrame]:
        folder = tmp_path_factory.mktemp("events")
        for date, lines in days.items():
            Path(folder, f"{date}.json").write_text("\n".join(lines))
        transform.register_events(settings, str(folder))
        transform.run_dbt(settings, "run", *MARTS)
        return tuple(
            spark.table(f"sparkify.{table}").orderBy("as_of_date", "user_id").toPandas()
            for table in ("fct_user_snapshots", "fct_user_features")
        )

    return features


@pytest.fixture(scope="module")
def snapshots(build_features, simulated_days) -> pd.DataFrame:
    """Of the same users: as they are; and for each date without what follows, and with a false one.

    In one build, for users do not see each other, but for the first and the last day of all data.
    """
    days = {day: list(lines) for day, lines in simulated_days.items()}
    for date in DATES:
        for day, lines in simulated_days.items():
            days[day] += renamed(lines if day < date else [], f"{date} dropped ")
            days[day] += renamed(lines if day < date else falsified(lines), f"{date} false ")
    return build_features(days)[0]


def lived_by(snapshots: pd.DataFrame, prefix: str) -> pd.DataFrame:
    """The rows of the users with a prefix, without it."""
    rows = snapshots[snapshots["user_id"].str.startswith(prefix)]
    return rows.assign(user_id=rows["user_id"].str.removeprefix(prefix))


def known(snapshots: pd.DataFrame, date: str) -> pd.DataFrame:
    rows = snapshots[snapshots["as_of_date"] <= dt.date.fromisoformat(date)].drop(columns=LABELS)
    return rows.sort_values(["as_of_date", "user_id"], ignore_index=True)


def as_they_are(snapshots: pd.DataFrame) -> pd.DataFrame:
    return snapshots[~snapshots["user_id"].str.contains(" ")]


@pytest.mark.parametrize("date", DATES)
@pytest.mark.parametrize("future", ["dropped", "false"])
def test_rows_as_of_d_are_the_same_without_the_future_and_with_a_false_one(snapshots, date, future):
    expected = known(as_they_are(snapshots), date)
    assert len(expected) > 5
    found = lived_by(snapshots, f"{date} {future} ")
    pd.testing.assert_frame_equal(known(found, date), expected)
    # The other days were read: what comes later differs.
    assert not known(found, "9999-12-31").equals(known(as_they_are(snapshots), "9999-12-31"))


def test_what_is_scored_on_a_day_is_what_a_model_will_have_learned_from(
    snapshots, build_features, simulated_days
):
    date = DATES[1]
    before = {day: lines for day, lines in simulated_days.items() if day < date}
    expected = known(as_they_are(snapshots), date)
    earlier, features = build_features(before)
    pd.testing.assert_frame_equal(known(earlier, "9999-12-31"), expected)
    pd.testing.assert_frame_equal(
        features,
        expected[expected["as_of_date"] == dt.date.fromisoformat(date)].reset_index(drop=True),
    )
