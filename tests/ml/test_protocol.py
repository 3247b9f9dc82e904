import datetime as dt

import pytest
from pyspark.sql import functions as F

from ml.errors import NotTrainable
from ml.protocol import (
    FOLD,
    LABEL,
    check_folds,
    check_outer_folds,
    compact,
    is_as_of,
    is_known,
    rolling_origins,
    user_folds,
)

MONDAYS = [dt.date(2018, 10, 8) + dt.timedelta(weeks=week) for week in range(7)]


@pytest.fixture(scope="module")
def weekly(spark):
    """30 users on 7 Mondays; users 0 to 9 churn within 14 days of the last three."""
    rows = [
        (f"u{user}", day, float(user < 10 and week > 3))
        for week, day in enumerate(MONDAYS)
        for user in range(30)
    ]
    return spark.createDataFrame(rows, f"user_id string, as_of_date date, {LABEL} double").cache()


def test_a_user_is_in_one_fold_and_every_fold_has_its_share_of_churners(weekly):
    folds = user_folds(weekly, user="user_id", folds=3, seed=7).toPandas()

    assert folds.groupby("user_id")[FOLD].nunique().max() == 1
    assert len(folds) == 30 * 7
    users = folds.groupby("user_id").agg(fold=(FOLD, "first"), churner=(LABEL, "max"))
    assert sorted(users[users["churner"] > 0].groupby("fold").size()) == [3, 3, 4]
    assert sorted(users[users["churner"] == 0].groupby("fold").size()) == [6, 7, 7]
    assert sorted(users.groupby("fold").size()) == [10, 10, 10]


def test_folds_depend_on_the_seed_and_not_on_how_rows_are_partitioned(weekly):
    def dealt(rows, seed):
        found = user_folds(rows, user="user_id", folds=3, seed=seed)
        return dict(found.select("user_id", FOLD).distinct().collect())

    assert dealt(weekly, 7) == dealt(weekly.repartition(5), 7)
    assert dealt(weekly, 7) != dealt(weekly, 8)


def test_no_training_row_has_a_label_window_that_reaches_past_the_origin(weekly):
    for origin in MONDAYS:
        train = weekly.filter(is_known("as_of_date", horizon_days=14, origin=origin))
        last = train.agg(F.max("as_of_date")).first()[0]
        if origin >= MONDAYS[2]:
            assert last == origin - dt.timedelta(days=14)
        else:
            assert last is None
        predicted = weekly.filter(is_as_of("as_of_date", origin=origin))
        assert {row["as_of_date"] for row in predicted.collect()} == {origin}


def origins(rows, **options):
    wanted = {"count": 3, "min_churners": 10, "min_users": 10} | options
    return rolling_origins(rows, user="user_id", time="as_of_date", horizon_days=14, **wanted)


def test_origins_without_enough_churners_before_them_are_left_out_by_name(weekly):
    # The first label windows with churners, of the fifth Monday, close at the seventh.
    found = origins(weekly)

    assert found.kept == (MONDAYS[6],)
    assert len(found.left_out) == 2
    assert "2018-11-12 is left out" in found.left_out[1]
    assert "known before it to have churned: 0, in rows: 0;" in found.left_out[1]


def test_a_history_with_no_date_to_predict_from_is_not_trainable(weekly):
    with pytest.raises(NotTrainable, match="churned: 10, in rows: 10; 10 users in 11 rows are"):
        origins(weekly, min_churners=11)
    with pytest.raises(NotTrainable, match="churned: 10, in rows: 10; 11 users in 10 rows are"):
        origins(weekly, min_users=11)


@pytest.mark.parametrize(("label", "who"), [("0D", "nobody"), ("1D", "everybody")])
def test_dates_that_all_ended_alike_judge_no_model(weekly, label, who):
    """Such as after a release that logs the cancellation under another name."""
    last = f"if(as_of_date >= '{MONDAYS[6]}', {label}, {LABEL})"
    rows = weekly.withColumn(LABEL, F.expr(last))

    with pytest.raises(NotTrainable, match=f"{who} churned of the 30 rows .* still logged"):
        origins(rows)


def test_too_few_churners_for_the_folds_are_not_trainable():
    check_folds(6, folds=3)
    with pytest.raises(NotTrainable, match="who churned .*: 5; 3 folds need at least 6"):
        check_folds(5, folds=3)
    check_outer_folds(25, 15, folds=5)
    with pytest.raises(NotTrainable, match="who stayed .*: 0;"):
        check_outer_folds(25, 1, folds=5)


def test_compact_rows_come_in_the_order_of_their_keys_in_one_partition(weekly):
    rows = compact(weekly.repartition(5), keys=["user_id", "as_of_date"], count=210)
    placed = rows.withColumn("partition", F.spark_partition_id()).collect()

    assert {row["partition"] for row in placed} == {0}
    keys = [(row["user_id"], row["as_of_date"]) for row in placed]
    assert keys == sorted(keys)
