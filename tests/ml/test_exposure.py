"""Rows seen too briefly are left out, and a difference in exposure is told."""

from dataclasses import replace

import pytest
from pyspark.sql import functions as F

from ml.errors import NotTrainable, TableMismatch
from ml.exposure import find_notes, find_too_short, long_enough
from ml.table_spec import TableSpec, check_schema, with_label

SPEC = TableSpec(id="id", label="left", exposure="days", min_exposure=14)


@pytest.fixture(scope="module", params=["double", "string"])
def rows(spark, request):
    """Of 20 rows, four are seen for less than two weeks, and of two nobody knows how long."""
    days = [None, float("nan"), 1.0, 5.0, 13.9, *map(float, range(14, 29))]
    found = spark.createDataFrame(
        [(f"u{i}", i % 2, day) for i, day in enumerate(days)], "id string, left int, days double"
    )
    return found.selectExpr("id", "left", f"cast(days as {request.param}) as days")


def test_rows_seen_too_briefly_are_left_out_and_counted(rows):
    assert long_enough(rows, SPEC).count() == 15
    told = "5 labelled rows are left out, with `days` below 14 or none."
    labelled = with_label(rows, SPEC)
    assert find_notes(labelled, SPEC) == (told,)
    (known,) = find_notes(labelled, replace(SPEC, min_exposure=0))
    assert known.startswith("2 labelled rows are left out, with `days` below 0 or none")
    with pytest.raises(NotTrainable, match="None of 20 labelled rows has a `days` of at least 99"):
        find_notes(labelled, replace(SPEC, min_exposure=99))
    (told,) = find_too_short(rows, SPEC)
    assert told.startswith("5 of 20 rows have a `days` below 14 or none: the model learned from no")
    assert find_too_short(long_enough(rows, SPEC), SPEC) == ()
    assert find_too_short(rows.drop("days"), SPEC) == ()
    # What cannot be read is as good as none.
    (told,) = find_too_short(rows.withColumn("days", F.lit("NA")).limit(1), SPEC)
    assert told.startswith("1 of 1 rows has a `days` below 14 or none")
    every = TableSpec(id="id", label="left", exposure="days")
    assert find_too_short(rows, every) == ()
    assert long_enough(rows, every).count() == 20 and find_notes(rows, every) == ()


def test_another_exposure_of_the_rows_to_score_is_told_and_the_same_is_not(spark, rows):
    labelled = with_label(rows, SPEC)
    briefly = spark.createDataFrame([("a", 3.0), ("b", 4.0)], "id string, days double")
    (_, told) = find_notes(labelled, SPEC, briefly)
    assert told.startswith("`days` differs: its median is 21 in the rows learned from and 3 in")
    assert len(find_notes(labelled, SPEC, rows)) == 1


def test_an_exposure_that_is_no_number_or_not_there_is_refused(spark, rows):
    with pytest.raises(TableMismatch, match="Exposure `days` is date; cast it to a number"):
        check_schema(rows.selectExpr("id", "left", "current_date() as days"), SPEC)
    for given, scoring in (("'7,5'", None), ("21", "'two weeks'")):
        labelled = with_label(rows.withColumn("days", F.expr(given)), SPEC)
        scored = scoring and rows.withColumn("days", F.expr(scoring))
        with pytest.raises(TableMismatch, match="Exposure `days` holds `.*`; it must be a number"):
            find_notes(labelled, SPEC, scored)
    with pytest.raises(TableMismatch, match="no column `days` .given as exposure."):
        find_notes(with_label(rows, SPEC), SPEC, rows.drop("days"))
