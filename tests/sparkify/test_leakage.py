"""No feature sees the future, and scoring sees what training saw."""

import datetime as dt
import json
from pathlib import Path

import pandas as pd
import pytest

from sparkify import transform

LABELS = ["is_churned_next_14d", "days_to_churn", "input_version"]
MARTS = ("--select", "+fct_user_snapshots", "+fct_user_features", "--full-refresh")


@pytest.fixture(scope="module")
def rebuild(spark, settings, tmp_path_factory):
    """A function that builds both feature tables anew from lines by day."""

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
def truth(rebuild, simulated_days) -> pd.DataFrame:
    return rebuild(simulated_days)[0]


FALSE = {
    "level": "paid",
    "artist": "nobody",
    "registration": 1538352000000,
    "gender": "X",
    "location": "Nowhere, XX",
    "userAgent": "none",
}


def falsified(lines: list[str]) -> list[str]:
    """All else about users, other pages, twice as often, and a cancellation of everybody."""
    pages = ("Thumbs Down", "Cancellation Confirmation")
    return [
        json.dumps(json.loads(line) | FALSE | {"page": page}) for line in lines for page in pages
    ]


def known(snapshots: pd.DataFrame, date: dt.date) -> pd.DataFrame:
    rows = snapshots[snapshots["as_of_date"] <= date].drop(columns=LABELS)
    return rows.reset_index(drop=True)


@pytest.mark.parametrize("date", ["2018-10-15", "2018-10-29", "2018-11-19"])
def test_rows_as_of_d_are_the_same_without_the_future_and_with_a_false_one(
    rebuild, truth, simulated_days, date
):
    before = {day: lines for day, lines in simulated_days.items() if day < date}
    after = {day: falsified(lines) for day, lines in simulated_days.items() if day >= date}
    expected = known(truth, dt.date.fromisoformat(date))
    assert len(expected) > 5
    snapshots, features = rebuild(before)
    pd.testing.assert_frame_equal(known(snapshots, dt.date.max), expected)
    # What is scored on that day is what a model will have learned from.
    pd.testing.assert_frame_equal(
        features,
        expected[expected["as_of_date"] == dt.date.fromisoformat(date)].reset_index(drop=True),
    )
    snapshots, _ = rebuild(before | after)
    pd.testing.assert_frame_equal(known(snapshots, dt.date.fromisoformat(date)), expected)
    # The false days were read: what comes later differs.
    assert not known(snapshots, dt.date.max).equals(known(truth, dt.date.max))
