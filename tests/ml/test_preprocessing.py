import math
from dataclasses import replace

import pytest
from pyspark.sql import functions as F

from ml.errors import TableMismatch
from ml.preprocessing import (
    CORE,
    FEATURES,
    SCALED,
    find_columns,
    find_written,
    fit_preparation,
    leave_out,
    read_written,
    safe_names,
    screen,
    typical_row,
)
from ml.protocol import LABEL
from ml.scoring import check_columns

SCHEMA = """
    user_id string, seen_at timestamp, songs bigint, `thumbs.per song` double, is_paid boolean,
    level string, empty double, always int, state string, session_id bigint, tags array<string>
"""


@pytest.fixture(scope="module")
def rows(spark):
    data = [
        (
            f"u{i}",
            None,
            i % 5,
            [0.5, None, math.nan, math.inf][i % 4],
            i % 3 == 0,
            ["free", "paid"][i % 2],
            None,
            7,
            f"S{i % 30}",
            1000 + i,
            [],
        )
        for i in range(60)
    ]
    return spark.createDataFrame(data, SCHEMA).coalesce(1).cache()


@pytest.fixture(scope="module")
def columns(rows):
    return screen(rows, find_columns(rows, ignore=("user_id",)), keys=["user_id"], users=60)


def test_columns_are_sorted_by_type_and_others_are_named(rows):
    found = find_columns(rows, ignore=("user_id", "always"))
    kinds = {feature.name: feature.kind for feature in found.features}

    assert kinds["songs"] == kinds["thumbs.per song"] == "numeric"
    assert kinds["is_paid"] == "boolean"
    assert kinds["level"] == "category"
    assert {name for name, _ in found.dropped} == {"seen_at", "tags"}
    assert "user_id" not in kinds
    assert "always" not in kinds


def test_empty_constant_id_like_and_too_varied_columns_are_dropped_with_a_reason(columns):
    reasons = dict(columns.dropped)

    assert columns.names == ["songs", "thumbs.per song", "is_paid", "level"]
    assert reasons["empty"] == "has no values"
    assert reasons["always"] == "is constant (7.0)"
    assert "looks like an id" in reasons["session_id"]
    assert "30 categories, more than 10 for 60 users" in reasons["state"]


def test_of_equal_columns_the_first_is_kept_and_row_numbers_are_ids(spark):
    data = [(f"u{i}", i % 7, float(i % 7), i % 7 > 2, i % 7 > 2, 59 - i, i * i) for i in range(60)]
    schema = (
        "user_id string, songs int, plays double, is_paid boolean, is_member boolean, "
        "row int, squares int"
    )
    table = spark.createDataFrame(data, schema)
    found = screen(table, find_columns(table, ignore=("user_id",)), keys=["user_id"], users=60)

    assert found.names == ["songs", "is_paid", "squares"]
    assert dict(found.dropped) == {
        "plays": "equals `songs` in every row",
        "is_member": "equals `is_paid` in every row",
        "row": "looks like an id: it numbers the rows",
    }


def test_equal_values_in_another_order_are_no_repetition(spark):
    table = spark.createDataFrame(
        [(i, i % 2, (i + 1) % 2) for i in range(40)], "id int, a int, b int"
    )
    found = screen(table, find_columns(table, ignore=("id",)), keys=["id"], users=40)

    assert found.names == ["a", "b"]


def test_infinite_values_are_counted_and_said_to_count_as_missing(columns):
    assert columns.notes == (
        "`thumbs.per song` is infinite, or all but so, in 15 rows: as if missing.",
    )


def test_missing_values_become_the_median_and_are_marked(rows, columns):
    prepared = fit_preparation(rows, columns, scaled=False).transform(rows)
    vectors = [row[FEATURES].toArray() for row in prepared.orderBy("session_id").take(4)]

    # songs, thumbs per song, whether that was missing, is_paid, level (two known values).
    assert [len(vector) for vector in vectors] == [6] * 4
    assert [list(vector[1:3]) for vector in vectors] == [[0.5, 0], [0.5, 1], [0.5, 1], [0.5, 1]]
    assert [vector[3] for vector in vectors] == [1, 0, 0, 1]
    assert all(math.isfinite(value) for vector in vectors for value in vector)


def test_values_and_nulls_never_seen_in_training_are_no_error(spark, rows, columns):
    prepared = fit_preparation(rows, columns, scaled=True)
    new = spark.createDataFrame(
        [("v", None, None, None, None, "gold", None, 7, None, 1, None)], SCHEMA
    )
    row = prepared.transform(new).first()

    assert list(row[FEATURES].toArray()[-2:]) == [0, 0]
    assert all(map(math.isfinite, row[SCALED].toArray()))


def test_skewed_counts_are_read_on_a_log_scale_and_others_as_they_are(spark):
    data = [(i, 2 * (i % 10 == 0), 1000.0 if i == 0 else i % 3 + 0.5) for i in range(40)]
    table = spark.createDataFrame(data, "even int, rare int, skewed double")
    columns = find_columns(table, ignore=())
    prepared = fit_preparation(table, columns, scaled=False).transform(table)

    for row in prepared.collect():
        assert list(row[FEATURES].toArray()) == pytest.approx(
            [row["even"], row["rare"], math.log1p(row["skewed"])]
        )


def test_what_one_row_holds_decides_nothing_about_the_others(spark):
    values = [float(i % 10) for i in range(20_000)]
    usual, odd = (
        spark.createDataFrame([(each,) for each in data], "count double").coalesce(1)
        for data in (values, [*values[:-1], 1e9])
    )
    columns = find_columns(usual, ignore=())
    found = {
        row[FEATURES][0]
        for row in fit_preparation(odd, columns, scaled=False).transform(odd).collect()
    }
    assert found == {float(i) for i in range(10)}
    assert fit_preparation(usual, columns, scaled=False).transform(usual).distinct().count() == 10


def test_a_core_is_the_part_of_the_vector_that_its_columns_make(rows, columns):
    core = replace(columns, core=("thumbs.per song", "level", "songs"))
    prepared = fit_preparation(rows, core, scaled=False).transform(rows)
    row = prepared.select(FEATURES, CORE).first()
    whole, part = row[FEATURES].toArray().tolist(), row[CORE].toArray().tolist()
    # Songs, thumbs per song with its mark of what is missing, and the level's categories.
    assert 5 <= len(part) < len(whole)
    assert part[:3] == whole[:3]


def test_a_core_is_none_of_the_columns_that_are_dropped(rows, columns):
    core = replace(find_columns(rows, ignore=("user_id",)), core=("always", "songs", "level"))
    assert screen(rows, core, keys=["user_id"], users=60).core == ("songs", "level")
    assert leave_out(replace(columns, core=("songs", "level")), ["level"], reason="").core == (
        "songs",
    )


def test_scaled_features_have_mean_0_and_deviation_1(rows, columns):
    prepared = fit_preparation(rows, columns, scaled=True).transform(rows)
    values = [row[SCALED].toArray() for row in prepared.select(SCALED).collect()]

    for column in zip(*values, strict=True):
        mean = sum(column) / len(column)
        assert mean == pytest.approx(0, abs=1e-9)
        variance = sum((x - mean) ** 2 for x in column) / (len(column) - 1)
        assert variance == pytest.approx(1) or variance == pytest.approx(0)


def test_the_typical_user_has_medians_and_the_most_frequent_values(rows, columns):
    assert typical_row(rows, columns) == {
        "songs": 2.0,
        "thumbs.per song": 0.5,
        "is_paid": False,
        "level": "free",
    }


@pytest.fixture(scope="module")
def texts(spark):
    """Columns of a CSV file: 60 users and what their values are written as."""
    data = [
        (
            f"u{i}",
            ["", "NA", " <na>", "None", "n/a", "null"][i // 10]
            if i % 10 == 0
            else f" {i * 1.25}\t",
            str(i),
            str(1000 + i % 7),
            ["True", "false", None][i % 3],
            "few" if i == 3 else str(i),
            f"1,{i:03d}",
            f"0{2000 + i}",
            f"2024-01-{1 + i % 28:02d}",
            " ",
            ["12D", "7F"][i % 2],
        )
        for i in range(60)
    ]
    names = "id total row_number code_id active mixed price zip signup empty seat"
    return spark.createDataFrame(data, names.split()).cache()


def test_numbers_and_truth_that_are_written_as_text_are_read_and_the_rest_has_a_reason(texts):
    found = find_written(texts, find_columns(texts, ignore=("id",)))
    kinds = {feature.name: (feature.kind, feature.type) for feature in found.features}
    assert kinds["total"] == ("numeric", "string")
    assert kinds["active"] == ("boolean", "string")
    assert kinds["mixed"] == kinds["zip"] == kinds["seat"] == ("category", "string")

    kept = screen(read_written(texts, found.features), found, keys=["id"], users=60)
    assert kept.names == ["total", "code_id", "active", "seat"]
    reasons = dict(kept.dropped)
    assert reasons["row_number"] == "numbers the rows"
    assert "is text because of values such as `few`" in reasons["mixed"]
    assert "is text because of values such as `1,000`" in reasons["price"]
    assert "is text because of values such as `02000`" in reasons["zip"]
    assert reasons["signup"] == "holds dates, which are not a feature"
    assert reasons["empty"] == "has no values"


def test_blanks_around_a_category_do_not_count(spark):
    rows = spark.createDataFrame([("plus",), (" plus\t",), ("",), (None,)], "plan string")
    columns = find_columns(rows, ignore=())
    vectors = fit_preparation(rows, columns, scaled=False).transform(rows).collect()
    first, padded, blank, none = (row[FEATURES] for row in vectors)
    assert first == padded != blank == none


def test_the_pipeline_reads_numbers_as_text_by_the_same_rule_whatever_their_type(spark, texts):
    columns = find_written(texts, find_columns(texts.select("total", "active"), ignore=()))
    train = read_written(texts, columns.features)
    prepared = fit_preparation(train, columns, scaled=False)
    as_text = prepared.transform(texts.limit(3)).collect()
    as_read = prepared.transform(train.limit(3)).collect()
    blank = prepared.transform(texts.limit(3).selectExpr("' ' as total", "null as active"))
    typical = typical_row(train, columns)

    assert [row[FEATURES] for row in as_text] == [row[FEATURES] for row in as_read]
    # total, whether it was missing, active, whether that was missing.
    assert [list(row[FEATURES].toArray()[1:]) for row in as_text] == [
        [1, 1, 0],
        [0, 0, 0],
        [0, 0, 1],
    ]
    assert {tuple(row[FEATURES].toArray()[:2]) for row in blank.collect()} == {
        (typical["total"], 1.0)
    }


@pytest.mark.parametrize(
    ("total", "active", "message"),
    [
        ("' 7.5 '", "'TRUE'", None),
        ("'N/A'", "' NaT'", None),
        ("7", "1.0", None),
        ("cast(null as date)", "null", None),
        ("double('nan')", "false", None),
        ("'7,5'", "true", "`total` is string, expected a number, and holds `7,5`"),
        ("7", "'maybe'", "`active` is string, expected true or false, and holds `maybe`"),
        ("current_date()", "2", "`total` is date.*`active` is int.* holds `2`"),
    ],
)
def test_a_table_to_score_may_hold_what_can_be_read_and_nothing_else(
    spark, texts, total, active, message
):
    columns = find_written(texts, find_columns(texts.select("total", "active"), ignore=()))
    rows = spark.sql(f"select {total} as total, {active} as active")
    if message is None:
        check_columns(rows, columns, keys=[])
        assert read_written(rows, columns.features).count() == 1
        return
    with pytest.raises(TableMismatch, match=message):
        check_columns(rows, columns, keys=[])


def test_the_index_that_pandas_wrote_is_no_feature(spark):
    rows = spark.createDataFrame(
        [(1, 2, 3, 4, 5)],
        ["__index_level_0__", "Unnamed: 0", "Unnamed: 0.1", "Unnamed: 1", "songs"],
    )
    found = find_columns(rows, ignore=())
    assert found.names == ["Unnamed: 1", "songs"]
    assert all("row index that pandas wrote" in reason for _, reason in found.dropped)


def test_an_index_by_another_name_is_a_whole_number_that_no_two_rows_share(spark):
    """Filtered and shuffled, as numbers and as text; a count, a rate and few rows are none."""
    kept = [i * i % 1009 for i in range(1, 61)]
    data = [
        (f"u{i}", k, float(k), str(k), f"{k}.0", k % 50, k + 0.5, None if i == 7 else k, k + 1)
        for i, k in enumerate(kept)
    ]
    schema = (
        "user_id string, `Unnamed: 1` int, `Unnamed: 2.1` double, index string, level_0 string, "
        "level_1 int, level_2 double, level_3 int, songs int"
    )
    table = spark.createDataFrame(data, schema).coalesce(1)

    def screened(rows):
        columns = find_written(rows, find_columns(rows, ignore=("user_id",)))
        rows = read_written(rows, columns.features)
        return screen(rows, columns, keys=["user_id"], users=60)

    found = screened(table)
    assert found.names == ["level_1", "level_2", "level_3", "songs"]
    assert dict(found.dropped) == dict.fromkeys(
        ["Unnamed: 1", "Unnamed: 2.1", "index", "level_0"],
        "is the row index that pandas wrote, not a feature",
    )
    few = screened(table.limit(10)).dropped
    assert not any("index that pandas wrote" in reason for _, reason in few)
    check_columns(table.drop("index", "level_0"), found, keys=["user_id"])
    check_columns(table.withColumn("index", F.lit("x")), found, keys=["user_id"])


def test_names_of_columns_never_meet_the_names_that_are_made_from_others(spark):
    made = ["label", "fold", "features", "core", "scaled", "log_odds", "probability", "__THIS__"]
    names = ["age_missing", "age", "a b", "a_b", "a_b_2", "größe", *made]
    values = ", ".join(f"{float(i)!r}D as `{name}`" for i, name in enumerate(names))
    rows = spark.sql(f"select cast(null as double) as nothing, {values}, 0D as {LABEL}")
    columns = find_columns(rows, ignore=())
    assert len(set(safe_names(columns))) == len(columns.names) == len(names)
    assert [name for name, _ in columns.dropped] == ["__THIS__", LABEL]
    assert fit_preparation(rows, columns, scaled=True).transform(rows).count() == 1
