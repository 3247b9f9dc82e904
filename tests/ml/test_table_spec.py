from dataclasses import replace

import pytest
from pyspark.sql import functions as F

from ml.errors import TableMismatch
from ml.protocol import LABEL
from ml.table_spec import (
    TableSpec,
    check_schema,
    key_counts,
    label_rows,
    of_closed_dates,
    outlived,
    refuse_keys,
)

SPEC = TableSpec(id="id", label="left")


@pytest.mark.parametrize(
    ("kind", "churned", "stayed", "open"),
    [
        (
            "string",
            [" Yes", "y", "TRUE", "t", "1", "1.0", "Churned"],
            ["no ", "0"],
            ["", " ", None],
        ),
        ("string", ["churned"], ["n", "F", "False", "0.0", "stayed"], ["NaN"]),
        ("boolean", [True], [False], [None]),
        ("int", [1], [0], [None]),
        ("double", [1.0], [0.0], [None, float("nan")]),
    ],
)
def test_a_label_is_read_whatever_its_type_and_case(spark, kind, churned, stayed, open):
    data = [(str(i), value) for i, value in enumerate([*churned, *stayed, *open])]
    rows, found = label_rows(spark.createDataFrame(data, f"id string, left {kind}"), SPEC)
    read = {row["id"]: row[LABEL] for row in rows.collect()}
    values = [1.0] * len(churned) + [0.0] * len(stayed)
    assert read == {str(i): value for i, value in enumerate(values)}
    assert (found.rows, found.positives) == (len(values), len(churned))


@pytest.mark.parametrize(
    ("kind", "value", "shown"),
    [("string", "maybe", "maybe"), ("int", 2, "2"), ("double", 0.5, "0.5"), ("string", "-1", "-1")],
)
def test_any_other_label_is_refused_by_value(spark, kind, value, shown):
    rows = spark.createDataFrame([("a", None), ("b", value)], f"id string, left {kind}")
    with pytest.raises(TableMismatch, match=f"Label `left` holds `{shown}`; it must be yes/no"):
        label_rows(rows, SPEC)


@pytest.mark.parametrize(
    ("labels", "left_out"),
    [
        # By date, the earliest first: of three rows those with a label.
        (["110", "10", "0--", "1--", "11-", "---"], ["2018-10-04", "2018-10-05"]),
        (["110", "1--", "01-"], []),
        (["111", "111"], []),
        # Not all of them, and none of which a label cannot be read: that is refused.
        (["1--"], []),
        (["1--", "11-"], []),
        (["10", "1x-"], []),
    ],
)
def test_dates_on_which_churners_alone_have_a_label_are_left_out_and_named(spark, labels, left_out):
    rows = [
        (f"{place}", f"2018-10-{day + 1:02}", value if value != "-" else None)
        for day, values in enumerate(labels)
        for place, value in enumerate(values)
    ]
    table = spark.createDataFrame(rows, "id string, day string, left string")
    table = table.selectExpr("id", "date(day) as day", "left")
    found, notes = of_closed_dates(table, replace(SPEC, time="day"))
    kept = {str(row.day) for row in found.select("day").distinct().collect()}
    assert kept.isdisjoint(left_out) and (bool(notes) == bool(left_out))
    assert all(f"The rows as of {', '.join(left_out)} are left out: only who" in n for n in notes)
    assert of_closed_dates(table, SPEC) == (table, ())


def test_who_has_rows_after_churning_shows_that_the_label_looks_further(spark):
    rows = [("a", "2018-10-01", "1"), ("a", "2018-10-15", None), ("b", "2018-10-15", "1")]
    rows += [("b", "2018-10-22", "1"), ("c", "2018-10-01", "0"), ("c", "2018-10-30", "1")]
    table = spark.createDataFrame(rows, "id string, day string, left string")
    table = table.withColumn("day", F.to_date("day"))
    spec = replace(SPEC, time="day")
    assert outlived(table, spec)[0].startswith("1 user has a row 14 days and more after one whose")
    assert outlived(table, replace(spec, horizon_days=30)) == outlived(table, SPEC) == ()
    assert outlived(table, replace(spec, definitions={"horizon_days": "14"})) == ()


def test_a_row_that_is_doubled_on_a_date_left_out_is_refused_too(spark):
    rows = [("a", "2018-10-01", "1"), ("b", "2018-10-01", "0")]
    rows += [("a", "2018-10-02", "1"), ("b", "2018-10-02", None), ("b", "2018-10-02", None)]
    table = spark.createDataFrame(rows, "id string, day string, left string")
    with pytest.raises(TableMismatch, match="1 row repeats"):
        of_closed_dates(table.withColumn("day", F.to_date("day")), replace(SPEC, time="day"))


def test_a_label_of_another_type_is_refused_by_type(spark):
    rows = spark.sql("select 'a' as id, current_date() as left, 1 as x")
    with pytest.raises(TableMismatch, match="Label `left` is date; it must be yes/no"):
        check_schema(rows, SPEC)


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        (["a", None, " "], "2 rows have no `id`, such as the one with `x` 1"),
        (["a", "None", "nan", "<NA>"], "3 rows have no `id`, such as the one with `x` 1"),
        (["a", "", "b"], "1 row has no `id`, such as the one with `x` 1"),
        (["a", "b", "b"], "1 row repeats the `id` of another, such as `b`"),
    ],
)
def test_a_missing_or_repeated_id_is_refused_with_the_count_and_an_example(spark, ids, message):
    data = [(id, x) for x, id in enumerate(ids)]
    rows = spark.createDataFrame(data, "id string, x int")
    with pytest.raises(TableMismatch, match=message):
        refuse_keys(rows, ["id"], rows.agg(*key_counts(rows, ["id"])).first().asDict())


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (TableSpec(id="ID", label="left"), "no column `ID` .*; did you mean `id`?"),
        (TableSpec(id="id", label="lft"), "no column `lft` .*; did you mean `left`?"),
        (TableSpec(id="id", label="left", exclude=("zzz",)), "it has `id`, `left`, `x`"),
    ],
)
def test_a_column_that_is_not_there_is_refused_with_the_nearest(spark, spec, message):
    with pytest.raises(TableMismatch, match=message):
        check_schema(spark.createDataFrame([("a", 1, 2)], "id string, left int, x int"), spec)
