"""The tables that real events lead to."""

import nbformat
import pandas as pd
import pytest
from click.testing import CliRunner

from ml.errors import NotTrainable
from sparkify import ledger
from sparkify.cli import cli
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


def counted(spark, schema: str) -> tuple[int, dict[str, int]]:
    """How many rows became events, and how many were rejected, by reason."""
    accepted = spark.sql(f"select sum(copy_count) from {schema}.stg_sparkify__events").first()[0]
    rejected = spark.table(f"{schema}.stg_sparkify__rejected_events").groupBy("rejection_reason")
    return accepted, {row.rejection_reason: row["count"] for row in rejected.count().collect()}


@pytest.mark.slow
def test_a_real_log_that_nobody_leaves_leads_to_a_page_that_says_so(
    spark, settings, real_data, monkeypatch
):
    """As `make run` with one's own log: tables, and a page and a notebook without a model."""
    monkeypatch.setenv("SPARKIFY_SCHEMA", "real")
    try:
        done = CliRunner().invoke(cli, ["run", "--events", str(real_data / "log_data_2018_11")])
        assert done.exit_code == 0, done.exception
        said = " ".join(done.output.split())
        assert "rows read 8,056 8,056 lines in 30 files" in said and "Report: " in said
        assert "users 97 0 of whom churned" in said and "there is nothing to learn from" in said
        assert counted(spark, "real") == (8056 - 286, {"anonymous": 286})
        assert spark.table("real.fct_user_features").count() > 0
        page = (settings.home / "report" / "Sparkify.html").read_text().replace("\u00a0", " ")
        for words in ("1 November 2018 to 30 November 2018", "Nobody is scored", "No comparison: "):
            assert words in page
        executed = nbformat.read(settings.home / "report" / "Sparkify.ipynb", as_version=4)
        outputs = [each for cell in executed.cells for each in cell.get("outputs", [])]
        assert outputs and not [each for each in outputs if each.output_type == "error"]
    finally:
        for schema in ("real", "real_raw", "real_ml"):
            spark.sql(f"drop schema if exists {schema} cascade")


def test_no_row_of_another_real_log_is_lost(spark, build, settings, real_data):
    ledger.begin_run()
    build(real_data / "sparkify_log_small.json", "--exclude", RETENTION)
    accepted, rejected = counted(spark, "sparkify")
    assert accepted + sum(rejected.values()) == 10_000 and set(rejected) == {"anonymous"}
    # Nobody cancels, so there is nothing to learn; the tables stay.
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
