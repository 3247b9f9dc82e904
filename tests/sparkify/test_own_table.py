"""Training on, and scoring, a table that dbt did not build."""

import datetime as dt
import json
import re
import sys
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from ml.drift import find_drift, find_reference
from ml.errors import NotTrainable, TableMismatch
from ml.table_spec import TableSpec, check_schema, outlived
from sparkify import own_table
from sparkify.cli import cli, main
from sparkify.datasets import read_own_table
from sparkify.errors import BadInput, WrongUse
from sparkify.events import SPARKS_NOTE


@pytest.fixture(scope="module")
def customers(tmp_path_factory) -> pd.DataFrame:
    """300 customers who leave when they complain."""
    random = np.random.default_rng(0)
    complaints = random.poisson(2, 300)
    leaves = random.random(300) < 1 / (1 + np.exp(3 - complaints))
    return pd.DataFrame(
        {
            "customer": [f"c{i}" for i in range(300)],
            "complaints": complaints,
            "plan": random.choice(["basic", "plus"], 300),
            "spend": random.gamma(2, 20, 300),
            "left": leaves,
            "exit_survey": leaves.astype(float) + random.normal(0, 0.01, 300),
        }
    )


def train(path, *extra: str, models: str = "logistic_regression"):
    arguments = ["train", "--parquet", str(path), "--id", "customer", "--label", "left"]
    return CliRunner().invoke(cli, [*arguments, "--models", models, *extra])


@pytest.mark.long
def test_a_csv_file_is_trained_on_and_tables_of_other_types_are_scored(spark, customers, tmp_path):
    """The label as words, a number as text with blanks, an index, odd names and numeric ids."""
    names = {"customer": "customer `id`.x", "plan": 'größe, "plan"'}
    odd = customers.drop(columns="exit_survey").rename(columns=names)
    odd["customer `id`.x"] = range(1000, 1300)
    text = odd["spend"].round(2).astype(str).where(odd.index % 20 > 0, " ")
    words = odd["left"].map({True: " Yes", False: "no"}).where(odd.index > 9, "")
    odd = odd.assign(spend=text, left=words)
    odd.to_csv(tmp_path / "customers.csv", sep=";", encoding="utf-8-sig")
    named = ["--id", "customer `id`.x"]
    arguments = ["train", "--table", str(tmp_path / "customers.csv"), "--label", "left", *named]
    trained = CliRunner().invoke(cli, [*arguments, "--models", "logistic_regression,naive_bayes"])
    assert trained.exit_code == 0, trained.exception
    said = " ".join(trained.output.split())
    assert "290 predictions of 290 users" in said
    assert re.search(r"weights of the stack, on log-odds: logistic_regression \d\.\d\d, nai", said)
    assert "earned, USD per user" in said and "per user and date" not in said
    assert "not used: Unnamed: 0 (is the row index that pandas wrote, not a feature)." in said

    numbers = odd.drop(columns="left").assign(spend=pd.to_numeric(text, errors="coerce"))
    found = {}
    tables = {"text": odd, "number": numbers, "blank": odd.assign(spend="")}
    tables["unseen"] = odd.assign(**{'größe, "plan"': ["gold", *odd['größe, "plan"'][1:]]})
    for name, rows in tables.items():
        rows.astype({"customer `id`.x": float}).to_parquet(tmp_path / f"{name}.parquet")
        out = tmp_path / f"{name}.csv"
        arguments = ["score", "--table", str(tmp_path / f"{name}.parquet"), *named]
        scored = CliRunner().invoke(cli, [*arguments, "--out", str(out)])
        assert scored.exit_code == 0, scored.exception
        said = " ".join(scored.output.split())
        told = "1 of 300 rows holds a value that the model never saw, such as `gold`"
        assert (told in said) == (name == "unseen")
        assert ("`spend`: far from what the model learned from" in said) == (name == "blank")
        found[name] = pd.read_csv(out, dtype={"customer `id`.x": str})
        assert set(found[name]["customer `id`.x"]) == {str(i) for i in range(1000, 1300)}
        assert found[name]["probability"].is_monotonic_decreasing
    pd.testing.assert_frame_equal(found["text"], found["number"])
    both = pd.concat([numbers.assign(seen=day) for day in ("2018-12-03", "2018-12-10")])
    both.to_parquet(tmp_path / "both.parquet")
    arguments = ["score", "--table", str(tmp_path / "both.parquet"), *named, "--out", str(out)]
    assert "that --time names" in str(CliRunner().invoke(cli, arguments).exception)
    scored = CliRunner().invoke(cli, [*arguments, "--time", "seen"])
    assert scored.exit_code == 0, scored.exception
    dated = pd.read_csv(out, dtype={"customer `id`.x": str})
    assert dated["seen"].tolist() == ["2018-12-10"] * 300 + ["2018-12-03"] * 300
    assert dated["probability"].tolist() == [*found["number"]["probability"]] * 2
    assert not found["text"]["probability"].equals(found["blank"]["probability"])
    joined = found["text"].astype({"customer `id`.x": int}).merge(odd, on="customer `id`.x")
    assert joined["probability"].corr(joined["complaints"]) > 0.8
    assert joined["reason_1"].notna().sum() > 100


@pytest.mark.long
def test_a_column_that_knows_the_outcome_is_refused_unless_it_is_allowed_by_name(
    spark, customers, tmp_path
):
    table = tmp_path / "customers.parquet"
    kept = customers[["customer", "complaints", "left", "exit_survey"]]
    # Numbers of which the square is infinite, and a column as a model's `transform` leaves it.
    kept = kept.assign(huge=[1e200] * 6 + [1.0, 2.0] * 147, ml__features="(3,[0],[1.0])")
    kept.to_parquet(table)
    refused = train(table)
    assert isinstance(refused.exception, NotTrainable)
    assert "`exit_survey` (ROC AUC 1.000)" in str(refused.exception)
    assert "--allow exit_survey" in str(refused.exception)
    allowed = train(table, "--allow", "exit_survey", "--name", "allowed", models="naive_bayes")
    assert allowed.exit_code == 0, allowed.exception
    kept[1:].to_parquet(table)
    again = train(table, "--allow", "exit_survey", "--name", "allowed", models="naive_bayes")
    assert again.exit_code == 0, again.exception
    assert "`huge` is infinite, or all but so, in 6 rows" in " ".join(allowed.output.split())
    scored = ["score", "--name", "allowed", "--table", str(table), "--out", str(tmp_path / "s.csv")]
    refused = CliRunner().invoke(cli, [*scored, "--id", "complaints"]).exception
    assert isinstance(refused, TableMismatch) and "is read by the model: it cannot" in str(refused)
    assert "`exit_survey` tells churners from the others" in " ".join(allowed.output.split())
    without = train(table, "--exclude", "exit_survey", "--name", "without", models="naive_bayes")
    assert without.exit_code == 0, without.exception
    refused = CliRunner().invoke(cli, ["train", "--name", "allowed"]).exception
    assert "allowed is the name of a model of a table of your own; give another" in str(refused)


def test_an_unknown_learner_is_wrong_use(settings, tmp_path):
    refused = train(tmp_path / "customers.parquet", models="oracle")
    assert isinstance(refused.exception, WrongUse)
    assert "no learner oracle; choose among logistic_regression" in str(refused.exception)


@pytest.mark.long
def test_columns_that_tell_rows_to_score_apart_are_left_out(spark, customers, tmp_path):
    customers.drop(columns="exit_survey").to_parquet(tmp_path / "customers.parquet")
    dearer = customers.drop(columns=["left", "exit_survey"]).assign(spend=customers["spend"] + 500)
    dearer.to_parquet(tmp_path / "new.parquet")
    table = tmp_path / "customers.parquet"
    trained = train(table, "--to-score", str(tmp_path / "new.parquet"), "--stable-only")
    assert trained.exit_code == 0, trained.exception
    assert "Rows to score differ" in trained.output
    assert "spend (tells rows to score from training rows)" in " ".join(trained.output.split())
    refused = train(table, "--stable-only")
    assert "--to-score" in str(refused.exception)


@pytest.mark.long
def test_a_table_without_a_column_of_the_model_is_refused(spark, customers, tmp_path):
    customers[["customer", "plan"]].to_parquet(tmp_path / "narrow.parquet")
    arguments = ["score", "--parquet", str(tmp_path / "narrow.parquet"), "--id", "customer"]
    result = CliRunner().invoke(cli, [*arguments, "--out", str(tmp_path / "scores.csv")])
    assert isinstance(result.exception, TableMismatch)
    assert "complaints" in str(result.exception)
    assert not (tmp_path / "scores.csv").exists()


@pytest.mark.long
def test_a_label_of_one_class_is_not_trainable(spark, customers, tmp_path):
    customers.assign(left=False).to_parquet(tmp_path / "stayers.parquet")
    assert isinstance(train(tmp_path / "stayers.parquet").exception, NotTrainable)


def small(path: Path, **columns) -> Path:
    pq.write_table(pa.table({"id": ["a", "b"], **columns}), path)
    return path


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.parquet", b"id,left\na,1\n", "is not Parquet"),
        ("t.parquet", b"", "is empty"),
        ("t.csv", b"", "is empty"),
        ("t.csv", b"\n", "does not begin with the names"),
        ("t.csv", b"sep=;\nid;left\n", "does not begin with the names"),
        ("t.csv", b"id\na\n", "has one column"),
        (
            "t.csv",
            b"id,left\na,1,2\n",
            "line 2 of .* has 3 fields and the header has 2, with a comma",
        ),
        ("t.csv", b'id,left\na,"1\n', "is not CSV"),
        ("t.csv", b'id,left\n"a\0",1\n', "holds a NUL"),
        ("t.csv", b'id,left\na,"' + b"1,0\n" * 2**23, "is a quotation mark not closed"),
        ("t.csv", b"id,left,Left\na,1,2\n", "two columns `left` and `Left`"),
        ("t.csv", b'id,"to\nleave"\na,1\n', r"name is of several lines, 'to\\nleave'"),
        ("t.csv", "id,größe\na,1\n".encode("latin-1"), "is not UTF-8"),
        ("t.csv", "id,left\na,1\n".encode("utf-16"), "is not UTF-8"),
        ("t.csv.gz", b"id,left\na,1\n", "is not compressed"),
        ("t.csv", b"PK\x03\x04...", "is a zip file or a workbook"),
        ("t.json", b'{"id": 1}\n', "is neither Parquet nor, by its name, CSV"),
        ("mixed.csv", b"id,left\na,1\r\nb,0\r\n", "line 2 of .* in CRLF and the header in LF"),
        ("other.csv", b"id,left\r\na,1\r\nb,0\n", "line 3 of .* in LF and the header in CRLF"),
        ("a:b.csv", b"id,left\na,1\n", "has a colon in its name"),
        ("[c:d]/a.csv", b"id,left\na,1\n", "has a colon in its name"),
        ("_t.csv", b"id,left\na,1\n", "which Spark passes over"),
        ("folder/t.txt", b"id,left\na,1\n", "t.txt is not Parquet"),
        ("folder/.crc", b"1", "holds no files"),
    ],
)
def test_what_cannot_be_read_whole_is_refused_by_name(tmp_path, name, content, message):
    file = tmp_path / name
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(content)
    given = tmp_path / name.split("/")[0]
    with pytest.raises(BadInput, match=message) as refused:
        own_table.find_source(str(given))
    assert str(given) in str(refused.value)


def test_a_parquet_file_or_folder_that_spark_would_read_in_part_is_refused(tmp_path):
    whole = small(tmp_path / "whole.parquet").read_bytes()
    (tmp_path / "cut.parquet").write_bytes(whole[:-20])
    (tmp_path / "differ").mkdir()
    small(tmp_path / "differ" / "1.parquet", spend=[1, 2])
    small(tmp_path / "differ" / "2.parquet", spend=["1", "2"])
    (tmp_path / "twofold" / "SPEND=9").mkdir(parents=True)
    small(tmp_path / "twofold" / "SPEND=9" / "1.parquet", spend=[1, 2])
    (tmp_path / "nested" / "2024").mkdir(parents=True)
    small(tmp_path / "nested" / "2024" / "1.parquet")
    small(tmp_path / "span.parquet", x=pa.array([1, 2], pa.duration("ms")))
    # As a column is added to what Spark wrote: Spark would read those that it knew.
    table = pq.read_table(tmp_path / "span.parquet").select(["id"])
    noted = {SPARKS_NOTE: json.dumps({"fields": [{"name": "id"}]})}
    more = table.replace_schema_metadata(noted).append_column("more", pa.array([1, 2]))
    pq.write_table(more, tmp_path / "more.parquet")
    small(tmp_path / "half.parquet", x=pa.array(np.array([1, 2], dtype="float16")))
    pq.write_table(pa.table([pa.array([1]), pa.array([2])], ["a", "A"]), tmp_path / "twice.parquet")
    for name, message in {
        "cut.parquet": "is not Parquet, whatever its name, or its end is missing",
        "differ": "has `spend` as string, and 1.parquet has `spend` as int64",
        "twofold": "has a column `spend`, and Spark would read SPEND=9, the name of its folder",
        "nested": "holds a folder 2024, which Spark passes over",
        "more.parquet": r"does not tell Spark of all its columns \(more\)",
        "span.parquet": r"column `x` of .* is duration\[ms\], which Spark cannot read",
        "half.parquet": "column `x` of .* is Float16",
        "twice.parquet": "two columns `a` and `A`",
        "nothing.csv": "there is no such file or folder",
    }.items():
        with pytest.raises(BadInput, match=message):
            own_table.find_source(str(tmp_path / name))


@pytest.mark.parametrize(
    "name", ["a[1]", "a{1,2}", "a*", "a?", "a\\1", "a %20#1", "ä '\"`", "c:d/a"]
)
@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".csv.gz"])
def test_a_path_is_taken_as_it_stands(spark, settings, tmp_path, name, suffix):
    path = tmp_path / f"{name}{suffix}"
    path.parent.mkdir(exist_ok=True)
    for file, value in ((path.parent / f"a1{suffix}", "neighbour"), (path, "own")):
        rows = pd.DataFrame({"id": [value], "x": [1]})
        rows.to_parquet(file) if suffix == ".parquet" else rows.to_csv(file, index=False)
    rows = own_table.read(spark, settings, own_table.find_source(str(path)))
    assert [row["id"] for row in rows.collect()] == ["own"]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_kind_of_line_end_is_read(spark, settings, tmp_path, end):
    (tmp_path / "t.csv").write_bytes(end.join(["id,plan", "a,x", "b,y", ""]).encode())
    rows = own_table.read(spark, settings, own_table.find_source(str(tmp_path / "t.csv")))
    assert sorted(map(tuple, rows.collect())) == [("a", "x"), ("b", "y")]


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_a_csv_file_is_read_cell_by_cell(spark, settings, tmp_path, separator):
    cells = [["id", 'a "b"', "c"], ["1", f'x{separator} "y"\r\nz', "ü" * 200_000]]
    cells.append(["2", "", " \\ "])
    lines = [separator.join('"' + c.replace('"', '""') + '"' for c in line) for line in cells]
    (tmp_path / "t.csv").write_bytes("\r\n".join(lines).encode("utf-8-sig"))
    rows = own_table.read(spark, settings, own_table.find_source(str(tmp_path / "t.csv")))
    assert rows.columns == cells[0]
    read = [[cell or "" for cell in row] for row in rows.collect()]
    assert [[cell.replace("\r", "") for cell in row] for row in read] == [
        [cell.replace("\r", "") for cell in line] for line in cells[1:]
    ]


@pytest.mark.parametrize(
    ("name", "lines", "separator"),
    [
        ("t.csv", '"id";"plays, likes, skips, shares";"churn"\n"1";"5";"yes"\n', ";"),
        ("t.csv", '"id";"Umsatz, netto, EUR"\n"1";"5,5"\n', ";"),
        ("t.csv", 'id;"plays, likes, skips, shares";churn\n1;5;yes\n', ";"),
        ("t.csv", "id;churn, 30d\n1;0,5\n2;0,7\n", ";"),
        ("t.csv", "id,tags;notes,churn\n1,a;b;c,yes\n2,,no\n", ","),
        ("t.csv", "id,a|b\n1,2\n", ","),
        ("t.csv", "id;plays, likes, skips, shares;churn\n1;5,3,2,1;0\n2;4,3,2,1;1\n", ";"),
        ("t.tsv", "id\ta,b,c\tchurn\n1\t5\tyes\n", "\t"),
        ("t.TAB", "id\ta;b;c\n1\tx;y;z\n", "\t"),
    ],
)
def test_a_separator_is_told_by_the_first_records_not_by_the_header_alone(
    tmp_path, name, lines, separator
):
    (tmp_path / name).write_text(lines)
    assert own_table.find_source(str(tmp_path / name)).separator == separator


def test_a_line_that_lacks_a_field_makes_no_other_separator(tmp_path):
    (tmp_path / "t.csv").write_text("id;Umsatz, netto;churn\n1;5,5;0\n2;7,1;1\n3;6,2\n")
    with pytest.raises(BadInput, match="line 4 .* 2 fields and the header has 3"):
        own_table.find_source(str(tmp_path / "t.csv"))


@pytest.mark.long
def test_delta_folders_partitioned_folders_and_tables_of_the_catalogue_are_read(
    spark, settings, tmp_path
):
    rows = spark.createDataFrame([("a", 1), ("b", 2)], "id string, x int")
    rows.write.format("delta").save(str(tmp_path / "delta[1]"))
    rows.write.partitionBy("x").parquet(str(tmp_path / "parts"))
    rows.createOrReplaceTempView("own_customers")
    for given in (str(tmp_path / "delta[1]"), str(tmp_path / "parts"), "own_customers"):
        found = own_table.read(spark, settings, own_table.find_source(given))
        assert sorted((row["id"], int(row["x"])) for row in found.collect()) == [("a", 1), ("b", 2)]
    # What a folder is named for is text: no zero is lost.
    (tmp_path / "codes" / "zip=02134" / "Id=007").mkdir(parents=True)
    pd.DataFrame({"x": [1]}).to_parquet(tmp_path / "codes" / "zip=02134" / "Id=007" / "1.parquet")
    found = own_table.read(spark, settings, own_table.find_source(str(tmp_path / "codes")))
    assert {name.lower(): value for name, value in found.first().asDict().items()} == {
        "x": 1,
        "zip": "02134",
        "id": "007",
    }
    with pytest.raises(BadInput, match="no table sparkify.nothing: .* nor such a table"):
        own_table.read(spark, settings, own_table.find_source("sparkify.nothing"))


@pytest.mark.long
def test_of_a_delta_table_one_version_is_read_whatever_is_written_meanwhile(
    spark, settings, tmp_path
):
    rows = spark.createDataFrame([("a", 1), ("b", 2)], "id string, x int")
    folder = tmp_path / "delta `ü` {1}"
    rows.write.format("delta").save(str(folder))
    rows.write.format("delta").mode("append").save(str(folder))
    rows.write.format("delta").saveAsTable("own_versions")
    for given, version in ((str(folder), 1), ("own_versions", 0)):
        own = read_own_table(spark, settings, own_table.find_source(given), id="id")
        assert own.spec.version == version
        writer = spark.createDataFrame([("c", 3)], "id string, x int").write.format("delta")
        append = writer.mode("append")
        append.save(given) if "/" in given else append.saveAsTable(given)
        assert {row["id"] for row in own.rows.collect()} == {"a", "b"}
    spark.sql("create view own_view as select * from own_versions")
    own = read_own_table(spark, settings, own_table.find_source("own_view"), id="id")
    assert own.spec.version is None and own.rows.count() == 3
    spark.sql("drop view own_view")
    spark.sql("drop table own_versions")


@pytest.mark.parametrize(
    ("header", "names"),
    [
        (",a", ("Unnamed: 0", "a")),
        (",Unnamed: 0,a", ("Unnamed: 0.1", "Unnamed: 0", "a")),
        (",unnamed: 0.1,Unnamed: 0,a", ("Unnamed: 0.2", "unnamed: 0.1", "Unnamed: 0", "a")),
        (", ,Unnamed: 1", ("Unnamed: 0", "Unnamed: 1.1", "Unnamed: 1")),
    ],
)
def test_a_column_without_a_name_takes_one_that_is_free(tmp_path, header, names):
    (tmp_path / "t.csv").write_text(header + "\n" + "," * (len(names) - 1) + "\n")
    assert own_table.find_source(str(tmp_path / "t.csv")).columns == names


def test_names_are_apart_where_spark_tells_them_apart(spark, settings, tmp_path):
    small(tmp_path / "t.parquet", strasse=[1, 2], straße=[3, 4])
    (tmp_path / "t.csv").write_text("id,strasse,straße\na,1,3\nb,2,4\n")
    (tmp_path / "parts" / "strasse=1").mkdir(parents=True)
    small(tmp_path / "parts" / "strasse=1" / "1.parquet", straße=[3, 4])
    for name in ("t.parquet", "t.csv", "parts"):
        rows = own_table.read(spark, settings, own_table.find_source(str(tmp_path / name)))
        found = own_table.prepare(rows, id="id").where("id = 'a'").first()
        assert (int(found["strasse"]), int(found["straße"])) == (1, 3)


def test_every_type_is_a_feature_or_has_a_reason(spark, settings, tmp_path):
    day = dt.datetime(2024, 1, 2, 3, 4, 5)
    small(
        tmp_path / "t.parquet",
        left=[True, False],
        naive=pa.array([day, None], pa.timestamp("ns")),
        zoned=pa.array([day, None], pa.timestamp("us", "Europe/Berlin")),
        day=pa.array([day.date(), None]),
        price=pa.array([Decimal("1.50"), None]),
        tiny=pa.array([1, 2], pa.int8()),
        huge=pa.array([1, 2], pa.uint64()),
        single=pa.array([1.5, np.nan], pa.float32()),
        plan=pa.array(["x", None]).dictionary_encode(),
        tags=[["a"], []],
        nothing=pa.nulls(2),
        __index_level_0__=[4, 7],
    )
    rows = own_table.read(spark, settings, own_table.find_source(str(tmp_path / "t.parquet")))
    columns = check_schema(rows, TableSpec(id="id", label="left"))
    assert columns.names == ["price", "tiny", "huge", "single", "plan", "nothing"]
    assert {name for name, _ in columns.dropped} == {
        "naive",
        "zoned",
        "day",
        "tags",
        "__index_level_0__",
    }
    assert "pandas" in dict(columns.dropped)["__index_level_0__"]
    timed = own_table.prepare(rows, id="huge", time="naive")
    assert [row["naive"] for row in timed.collect()] == [day.date(), None]


@pytest.mark.parametrize(
    ("ids", "kind", "shown"),
    [
        ([17.0, 1e7, None], "double", ["17", "10000000", None]),
        ([2.5, float("nan"), 3.0], "float", ["2.5", None, "3"]),
        ([Decimal("5.00"), Decimal("5.10")], "decimal(10, 2)", ["5", "5.10"]),
        ([Decimal(0), Decimal(10**19)], "decimal(38, 18)", ["0", str(10**19)]),
        ([12345678901], "bigint", ["12345678901"]),
        (["17.0", "v1.0", " 007\t", " "], "string", ["17", "v1.0", "007", ""]),
    ],
)
def test_an_id_is_text_and_a_whole_number_prints_as_one(spark, ids, kind, shown):
    rows = spark.createDataFrame([(value,) for value in ids], f"`the id` {kind}")
    assert [row[0] for row in own_table.prepare(rows, id="the id").collect()] == shown


def test_a_name_has_no_blanks_around_it(spark, settings, tmp_path):
    small(tmp_path / "t.parquet", **{" exit ": [1, 2]})
    rows = own_table.read(spark, settings, own_table.find_source(str(tmp_path / "t.parquet")))
    assert rows.columns == ["id", "exit"]


@pytest.mark.parametrize("name", [".", "..", "Default", "a/b"])
def test_a_name_that_mlflow_takes_for_its_own_is_no_models(name):
    for command in (["models", "--name", name], ["train", "--name", name]):
        refused = CliRunner().invoke(cli, command)
        assert refused.exit_code == 2 and "choose another name" in refused.output


@pytest.mark.parametrize("name", ["count", "last", "churned", "n0", "p0", "value", "column"])
def test_an_id_may_be_called_like_what_is_computed_on_the_way(spark, name):
    days = [dt.date(2024, 1, 1), dt.date(2024, 3, 1)]
    rows = spark.createDataFrame(
        [(f"u{i}", day, i % 2, float(i)) for i in range(20) for day in days],
        f"`{name}` string, day date, left int, x double",
    )
    spec = TableSpec(id=name, label="left", time="day")
    columns = check_schema(rows, spec)
    (told,) = outlived(rows, spec)
    assert told.startswith("10 users have a row 14 days and more after")
    past = find_reference(rows, columns, user=name, past=[("then", rows.x < 5, rows.x > 9)])
    assert find_drift(past, rows, columns, user=name)["psi"].max() == pytest.approx(0, abs=1e-9)
    with pytest.raises(TableMismatch, match=f"rows repeat the `{name}` of another, such as `u0`"):
        own_table.check_users(rows, id=name)


@pytest.mark.parametrize(("kind", "first"), [("double", 2.0**53), ("float", 2.0**24)])
def test_an_id_that_a_float_has_rounded_is_refused(spark, kind, first):
    rows = spark.createDataFrame([(first - 1,), (None,), (float("nan"),)], f"id {kind}")
    assert own_table.prepare(rows, id="id").count() == 3
    rows = rows.union(spark.createDataFrame([(-first,)], f"id {kind}"))
    with pytest.raises(TableMismatch, match=f"and is {kind}, which rounds .* write it as text"):
        own_table.prepare(rows, id="id")


def test_a_time_is_a_date_or_refused_by_value(spark):
    rows = spark.createDataFrame([("a", " 2024-03-01"), ("b", "")], "id string, month string")
    found = own_table.prepare(rows, id="id", time="month").collect()
    assert [row["month"] for row in found] == [dt.date(2024, 3, 1), None]
    moment = spark.sql("select 'a' as id, timestamp'2024-03-01 20:00:00' as month")
    assert own_table.prepare(moment, id="id", time="month").first()["month"] == dt.date(2024, 3, 1)
    for value in ("'13/2024'", "'202401'", "date'12024-01-01'", "timestamp'-0001-01-01 00:00:00'"):
        wrong = spark.sql(f"select 'a' as id, {value} as month")
        with pytest.raises(TableMismatch, match="Time `month` holds `.*`; write dates as"):
            own_table.prepare(wrong, id="id", time="month")


@pytest.mark.parametrize(
    ("written", "date"),
    [
        ("2024-02-01 00:00:00+01:00", dt.date(2024, 1, 31)),
        ("2024-01-31T23:30:00.123456789 -0100", dt.date(2024, 2, 1)),
        ("2024-02-01 00:00:00Z", dt.date(2024, 2, 1)),
        ("2024-02-01T00:00Z", dt.date(2024, 2, 1)),
        ("2024-02-01 00:00+01:00", dt.date(2024, 1, 31)),
        ("2024-02-01 00:00:00", dt.date(2024, 2, 1)),
        ("2024-02-01", dt.date(2024, 2, 1)),
        ("2024-02", dt.date(2024, 2, 1)),
    ],
)
def test_a_time_with_an_offset_is_the_same_date_in_every_file(
    spark, settings, tmp_path, written, date
):
    moments = pd.Series(pd.to_datetime([written, written]))
    pd.DataFrame({"id": ["a", "b"], "day": moments}).to_parquet(tmp_path / "t.parquet")
    (tmp_path / "t.csv").write_text(f"id,day\na,{written}\nb, {written} \n")
    for name in ("t.parquet", "t.csv"):
        rows = own_table.read(spark, settings, own_table.find_source(str(tmp_path / name)))
        found = own_table.prepare(rows, id="id", time="day").collect()
        assert [row["day"] for row in found] == [date, date]


def test_a_time_whose_offset_cannot_be_read_is_refused(spark):
    times = ("T0000+0100", "T23:30:00,123-05:00", " 11:30 PM -05:00", " 11:30:00PM", " garbage")
    times = (*times, "T23:30:00-05:00[America/New_York]", "T23:30:00\u221205:00", "Tfoo")
    for written in (*(f"2024-02-01{time}" for time in times), "23:30", "23:30:00"):
        wrong = spark.createDataFrame([("a", written)], "id string, day string")
        told = f"Time `day` holds `{re.escape(written)}`; write dates as"
        with pytest.raises(TableMismatch, match=told):
            own_table.prepare(wrong, id="id", time="day")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["train", "--table", "t.csv", "--id", "id"], 2, "--table needs --id and --label"),
        (["train", "--id", "id"], 2, "add --table"),
        (["score", "--table", "t.csv", "--id", "id"], 2, "and --out, the CSV to write"),
        (["score", "--table", "t.csv", "--id", "id", "--out", "./t.csv"], 2, "would overwrite"),
        (["train", "--table", "t.csv", "--id", "ID", "--label", "left"], 3, "did you mean `id`?"),
        (["train", "--table", "t.csv", "--id", "id", "--label", "Left"], 3, "mean `left`?"),
        (["train", "--table", "t.csv", "--id", "id", "--label", "x"], 3, "`x` holds `maybe`"),
        (["train", "--parquet", "u.csv", "--id", "id", "--label", "left"], 3, "no table at u.csv"),
        (["train", "--table", "twice.csv", "--id", "id", "--label", "left"], 3, "such as `a`"),
        (["train", "--table", "none.csv", "--id", "id", "--label", "left"], 3, "no `id`, such as"),
        (["train", "--table", "head.csv", "--id", "id", "--label", "left"], 3, "has no rows"),
        (["train", "--table", "t.csv", "--id", "id", "--label", "left"], 5, "1 user churned"),
        # What is wrong in rows that are left out is wrong all the same.
        (
            ["train", "--table", "e.csv", "--id", "id", "--label", "left"]
            + ["--exposure", "days", "--min-exposure", "14"],
            3,
            "`left` holds `maybe`",
        ),
    ],
)
def test_an_error_is_one_line_with_its_exit_code(
    spark, tmp_path, monkeypatch, capsys, arguments, code, message
):
    monkeypatch.chdir(tmp_path)
    Path("t.csv").write_text("id,left,x\na,yes,1\nb,NO,maybe\nc,,0\n")
    Path("twice.csv").write_text("id,left,x\na,yes,1\na,no,2\n")
    Path("none.csv").write_text("id,left,x\na,yes,1\n ,,2\n")
    Path("head.csv").write_text("id,left,x\n")
    Path("e.csv").write_text("id,left,days\na,yes,30\nb,maybe,3\n")
    monkeypatch.setattr(sys, "argv", ["sparkify", *arguments])
    with pytest.raises(SystemExit) as left:
        main()
    said = capsys.readouterr().err
    assert left.value.code == code, said
    assert message in said
    assert said.count("\n") == 1
