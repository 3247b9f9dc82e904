"""The tables that real events lead to."""

import pandas as pd
import pytest

from ml.errors import NotTrainable
from sparkify import ledger
from sparkify.commands.train import train_snapshots
from sparkify.stages import RETENTION

pytestmark = pytest.mark.long

SUMS = {
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
    "session_count": "session_count",
    "count_items": "event_count",
}


@pytest.mark.parametrize(
    ("events", "read", "anonymous", "selection"),
    [
        ("log_data_2018_11", 8056, 286, ()),
        ("sparkify_log_small.json", 10000, None, ("--exclude", RETENTION)),
    ],
)
def test_no_row_of_a_real_log_is_lost(
    spark, build, settings, real_data, events, read, anonymous, selection
):
    ledger.begin_run()
    build(real_data / events, *selection)
    accepted = spark.sql("select sum(copy_count) from sparkify.stg_sparkify__events").first()[0]
    reasons = {
        row.rejection_reason: row["count"]
        for row in spark.table("sparkify.stg_sparkify__rejected_events")
        .groupBy("rejection_reason")
        .count()
        .collect()
    }
    assert accepted + sum(reasons.values()) == read
    assert set(reasons) == {"anonymous"}
    assert anonymous in (None, reasons["anonymous"])
    assert spark.table("sparkify.fct_user_features").count() > 0
    # Nobody cancels in these logs, so there is nothing to learn; the tables stay.
    with pytest.raises(NotTrainable):
        train_snapshots(spark, settings)


def test_sums_over_days_equal_the_true_aggregates_of_two_users(
    spark, build, real_data, tmp_path_factory
):
    folder = tmp_path_factory.mktemp("mini")
    for name in ("mini_user18.jsonl", "mini_user30.jsonl"):
        (folder / name).symlink_to(real_data / name)
    build(folder, "--select", "+path:models/marts/core")
    built = (
        spark.table("sparkify.fct_user_days")
        .groupBy("user_id")
        .agg({column: "sum" for column in [*SUMS.values(), "listening_s"]})
        .join(spark.table("sparkify.dim_users"), "user_id")
        .toPandas()
        .set_index("user_id")
    )
    true = pd.read_csv(real_data / "mini_225_users.csv", dtype={"userId": str}).set_index("userId")
    for user in ("18", "30"):
        for theirs, ours in SUMS.items():
            assert built.loc[user, f"sum({ours})"] == true.loc[user, theirs], (user, ours)
        assert float(built.loc[user, "sum(listening_s)"]) == pytest.approx(
            true.loc[user, "sum_length"], abs=1
        )
        assert built.loc[user, "is_churned"] == true.loc[user, "churn"]
