"""What `sparkify sql`, `tables` and `targets` show, and what they refuse."""

import csv
import datetime as dt
import io
import json
import os
import re
from decimal import Decimal

import pandas as pd
import pyarrow as pa
import pytest
from click.testing import CliRunner, Result

from sparkify import catalog, cells, terminal
from sparkify.cli import cli
from sparkify.commands import sql
from sparkify.errors import BadInput, WrongUse
from sparkify.spreadsheet import check_writable, write_csv


def ask(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments)


@pytest.fixture
def schema(spark, monkeypatch):
    """A schema of its own with one mart, which is the one in use."""
    spark.sql("create schema asked")
    spark.sql("create table asked.dim_users using parquet as select 'a' as user_id, 1 as visits")
    monkeypatch.setenv("SPARKIFY_SCHEMA", "asked")
    yield "asked"
    spark.sql("drop schema asked cascade")


# What starts a program, and what only looks like it.
PROGRAMS = (
    "select transform(user_id) using 'touch /tmp/x' as (a string) from asked.dim_users",
    'from asked.dim_users map user_id USING /* */ "cat" as a',
    "select reflect('java.lang.System', 'getenv', 'PATH')",
    "/* /* */ ' */ select `try_reflect` /**/ ('java.lang.System', 'exit', 1) -- '",
    "with x as (select java_method('java.util.UUID', 'randomUUID') as a) select a from x",
    "select transform(user_id) using r'touch /tmp/x' as (a string) from asked.dim_users",
    'from asked.dim_users reduce user_id using R"cat" as a',
    "select identifier('reflect')('java.lang.System', 'getenv', 'HOME')",
    "select identifier('java_' || 'method')('java.lang.System', 'getenv', 'HOME')",
    "select identifier('reflect') -- why\n ('java.lang.System', 'getenv', 'HOME')",
    "select 1 as one where exists (select try_reflect('java.lang.System', 'getenv', 'X'))",
    r"select r'\' as a, reflect('java.lang.System', 'getenv', 'HOME') --'",
    "select 1 as `a'`, reflect('java.lang.System', 'getenv', 'HOME') as `'`",
    "select /*+ coalesce('*/ ') */ reflect('java.lang.System', 'getenv', 'HOME')",
)
NO_PROGRAMS = (
    "select transform(array(1), each -> -each) from asked.dim_users as a"
    " join asked.dim_users as b using (user_id)",
    "select 'reflect(' as one, 'using \"x\"' as other",
    "select 'it''s reflect(1)' as one, 'a\\'reflect(' as other, \"java_method(\" as last",
    "select /* reflect(1) */ 1 as one -- reflect(1)",
    "select count(*) from asked.dim_users as a join asked.dim_users as b using/**/(user_id)",
    "select * from asked.dim_users as a join asked.dim_users as b using -- key\n(user_id)",
    "select * from identifier('asked.dim_users')",
)


@pytest.mark.parametrize("statement", PROGRAMS)
def test_a_client_that_sees_no_plan_knows_a_program_by_its_words(statement):
    assert sql.PROGRAMS.search(sql.without_texts(statement))


@pytest.mark.parametrize("statement", NO_PROGRAMS)
def test_a_client_takes_no_text_or_comment_for_a_program(statement):
    assert not sql.PROGRAMS.search(sql.without_texts(statement))


@pytest.mark.parametrize(
    "statement",
    [
        *NO_PROGRAMS,
        "select 1 as one",
        "  -- why\n/* and\nhow */ SELECT 1 as one;",
        "(select 1 as one) union all select 2",
        "with x as (select 1 as one) select * from x order by one",
        "values (1), (2)",
        "table asked.dim_users",
        "from asked.dim_users select visits",
        "show tables in asked",
        "DESCRIBE asked.dim_users",
        "explain drop table asked.dim_users",
        "select 1 as one; -- that is all; really",
        "-- One row per user.\nselect 1 as one",
        "select 'execute immediate' as said",
    ],
)
def test_what_only_reads_is_run(schema, spark, statement):
    done = ask("sql", statement)
    assert done.exit_code == 0, done.exception
    assert spark.table("asked.dim_users").count() == 1


@pytest.mark.parametrize(
    "statement",
    [
        *PROGRAMS[:-1],
        "drop table asked.dim_users",
        "/* select */ insert into asked.dim_users values ('b', 2)",
        "with x as (select 'b', 2) insert into asked.dim_users select * from x",
        "from asked.dim_users insert into asked.dim_users select *",
        "create table asked.other as select 1 as one",
        "create or replace temporary view dim_users as select 1 as one",
        "truncate table asked.dim_users",
        "set spark.sql.ansi.enabled=true",
        "refresh table asked.dim_users",
        # Spark runs such a text as soon as it is explained.
        "execute immediate 'drop table asked.dim_users'",
        "explain execute immediate 'drop table asked.dim_users'",
        "explain extended /* /* */ */ execute /**/ immediate 'drop table asked.dim_users'",
        # So it does with the query for a time, and it puts variables in place first.
        *(
            f"{before}select * from asked.dim_users timestamp as of ({time})"
            for before in ("", "explain ", "describe query ")
            for time in (
                "select transform(1) using 'touch /tmp/x' as (x string)",
                "select reflect('java.lang.System', 'getenv', 'PATH')",
                "select max(visits) from asked.dim_users",
                "identifier('reflect')('java.lang.System', 'getenv', 'PATH')",
            )
        ),
        "select * from identifier('explode')(array((select max(visits) from asked.dim_users "
        "timestamp as of (select transform(1) using 'id' as (x string)))))",
        "select identifier('count')(1) filter (where exists (select 1 from asked.dim_users "
        "timestamp as of (select transform(1) using 'id' as (x string))))",
        "select * from identifier('asked.' || 'dim_users') "
        "timestamp as of (select reflect('a', 'b'))",
        "explain ex${x}ecute immediate 'drop table asked.dim_users'",
        "select ref${x}lect('java.lang.System', 'getenv', 'PATH')",
        # Comments that end elsewhere than they seem to.
        "/* /* */ show */ drop table asked.dim_users",
        "-- why\rdrop table asked.dim_users -- \\\nshow tables",
        "vacuum asked.dim_users",
    ],
)
def test_what_may_write_is_refused_unless_it_is_asked_for(schema, spark, statement):
    refused = ask("sql", statement).exception
    assert isinstance(refused, WrongUse) and "--write" in str(refused)
    assert spark.table("asked.dim_users").count() == 1
    assert catalog.tables_of(spark, "asked") == ["dim_users"]


def test_two_statements_are_no_query(schema, spark):
    refused = ask("sql", "select 1; drop table asked.dim_users").exception
    assert isinstance(refused, WrongUse) and "cannot be run" in str(refused)
    closed = ask("sql", "select 1) as a; drop table asked.dim_users --").exception
    assert isinstance(closed, WrongUse)
    assert spark.catalog.tableExists("asked.dim_users")


def test_what_fails_while_it_runs_is_no_fault_of_the_program(spark):
    refused = ask("sql", "select raise_error('no such day')").exception
    assert isinstance(refused, WrongUse) and "no such day" in str(refused)


def test_who_asks_for_it_may_write(schema, spark):
    statement = "insert into asked.dim_users values ('b', 2)"
    (option,) = re.findall(r"add (--\w+)", str(ask("sql", statement).exception))
    assert ask("sql", option, statement).exit_code == 0
    assert spark.table("asked.dim_users").count() == 2
    program = "select reflect('java.lang.Math', 'abs', -7) as seven"
    (option,) = re.findall(r"add (--\w+)", str(ask("sql", program).exception))
    assert "7" in ask("sql", option, program).output


def test_an_unknown_table_or_column_leads_to_the_nearest(schema):
    unknown = str(ask("sql", "select * from asked.dim_user").exception)
    assert "did you mean asked.dim_users?" in unknown
    far = str(ask("sql", "select * from asked.nothing_like_it").exception)
    assert "in asked there are dim_users" in far and "did you mean" not in far
    assert "`visits`" in str(ask("sql", "select visit from asked.dim_users").exception)
    twice = "select 1 as a, 2 as {}"
    (renamed,) = re.findall(
        "as in `(.*)`", str(ask("sql", twice.format("a"), "--format", "json").exception)
    )
    assert renamed == "a as other"
    written = ask("sql", f"select {renamed}, 2 as a from values (1) as t (a)", "--format", "json")
    assert json.loads(written.output) == {"other": 1, "a": 2}


def test_before_a_build_it_is_said_how_to_build(spark, monkeypatch):
    monkeypatch.setenv("SPARKIFY_SCHEMA", "unbuilt")
    for command in (("sql", "select * from unbuilt.dim_users"), ("tables",)):
        refused = ask(*command).exception
        assert isinstance(refused, BadInput | WrongUse)
        assert "`sparkify build --events PATH`" in str(refused)


def test_a_row_is_one_row_and_what_is_too_wide_stands_below_each_other(capsys):
    sql.print_table(pa.table({"day": [dt.datetime(2018, 10, 1, 12)]}))
    assert capsys.readouterr().out.splitlines()[1:] == ["2018-10-01 12:00:00", "1 row"]
    sql.print_table(pa.table({f"c{i}": [f"value {i}"] * 2 for i in range(40)}))
    shown = capsys.readouterr().out.splitlines()
    assert [text.split() for text in shown[:3]] == [
        ["row", "1"],
        ["c0", "value", "0"],
        ["c1"] + ["value", "1"],
    ]
    assert len(shown) == 2 * 41 + 1 and shown[-1] == "2 rows"


def test_a_number_that_is_not_zero_does_not_look_like_it():
    numbers = {0.0: "0.0000", 0.00004: "0.00004", -1.2e-7: "-0.00000012", 0.00005: "0.0001"}
    assert [cells.show(each) for each in numbers] == [*numbers.values()]
    assert cells.show(1234.5) == "1234.5000" and cells.show(3) == "3"


def test_the_columns_of_a_table_are_told_without_spark():
    shown = ask("tables", "sparkify.fct_user_days")
    assert shown.exit_code == 0
    assert "One row per (user_id, activity_date)" in " ".join(shown.output.split())
    assert "activity_date" in shown.output and "date" in shown.output
    assert "did you mean fct_user_days?" in str(ask("tables", "fct_user_day").exception)


EVERY_KIND = {
    "whole": [2**60, None],
    "exact": [Decimal("0.10"), None],
    "small": [1.25e-12, float("nan")],
    "day": [dt.date(1, 1, 1), None],
    "time": [dt.datetime(2018, 10, 1, tzinfo=dt.UTC), None],
    "bytes": [b"\xff", None],
    "list": [[1.5, None], None],
    "text": ['a "b",\nc', None],
}


def test_json_is_json_and_no_digit_of_a_number_is_lost():
    found = [json.loads(text) for text in sql.as_json(pa.table(EVERY_KIND)).splitlines()]
    assert found == [
        {
            "whole": 2**60,
            "exact": 0.1,
            "small": 1.25e-12,
            "day": "0001-01-01",
            "time": "2018-10-01T00:00:00",
            "bytes": "ff",
            "list": [1.5, None],
            "text": 'a "b",\nc',
        },
        dict.fromkeys(EVERY_KIND),
    ]
    # A reader of JSON has a number as a float, which would round these.
    digits = [Decimal("12345678901234567.89"), Decimal("2.50")]
    found = sql.as_json(pa.table({"sum": pa.array(digits, pa.decimal128(38, 2))}))
    assert found.splitlines() == ['{"sum":"12345678901234567.89"}', '{"sum":2.5}']
    assert sql.as_json(pa.table({"none": pa.array([], pa.int64())})) == ""
    with pytest.raises(WrongUse, match="two columns are called a"):
        sql.as_json(pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"]))


def test_csv_keeps_whole_numbers_whole_beside_nulls():
    first, second = csv.DictReader(io.StringIO(sql.as_csv(pa.table(EVERY_KIND))))
    assert first == {
        "whole": str(2**60),
        "exact": "0.10",
        "small": "1.25e-12",
        "day": "0001-01-01",
        "time": "2018-10-01 00:00:00",
        "bytes": "ff",
        "list": "[1.5, null]",
        "text": 'a "b",\nc',
    }
    assert second == dict.fromkeys(EVERY_KIND, "")


def test_no_cell_of_a_file_for_people_is_a_formula(tmp_path):
    texts = ["=1+1", "+a", "-b", "@c", "\td", "\re", "f=1", "", None]
    notes = write_csv(pd.DataFrame({"text": texts, "number": range(-4, 5)}), tmp_path / "out.csv")
    assert len(notes) == 1 and notes[0].startswith("6 of `text` have an apostrophe there")
    found = pd.read_csv(tmp_path / "out.csv", keep_default_na=False, lineterminator="\n")
    assert found["text"].tolist() == [*(f"'{text}" for text in texts[:6]), "f=1", "", ""]
    assert found["number"].tolist() == list(range(-4, 5))


def test_no_part_of_a_cell_is_a_formula_where_something_else_parts_cells(tmp_path):
    texts = {"x;=1+1": "x;'=1+1", "x\t =1;-2": "x\t' =1;'-2", "a;b": "a;b"}
    texts |= {
        'x;"=1+1;y': "x;'\"=1+1;y",
        "\u200b\ufe661": "'\u200b\ufe661",
        "x;\ufeff\ufe62": "x;'\ufeff\ufe62",
    }
    write_csv(pd.DataFrame({"text": [*texts]}), tmp_path / "out.csv")
    with (tmp_path / "out.csv").open(newline="") as file:
        assert [row[0] for row in csv.reader(file)][1:] == [*texts.values()]


def test_no_name_of_a_column_is_a_formula_nor_what_looks_like_one_to_a_spreadsheet(tmp_path):
    texts = [" =1+1", "\u00a0@c", "\uff1d1", "\n-b", "a-b", " a"]
    rows = pd.DataFrame({"=cmd|'/c calc'!A1": pd.Categorical(texts)})
    write_csv(rows, tmp_path / "out.csv")
    with (tmp_path / "out.csv").open(newline="") as file:
        found = [row[0] for row in csv.reader(file)]
    assert found == [f"'{rows.columns[0]}", *(f"'{text}" for text in texts[:4]), *texts[4:]]


def test_a_place_that_cannot_be_written_is_refused_before_anything_is_done(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="cannot write .*choose another place"):
        check_writable(tmp_path / "file" / "out.csv")
    for command in ("targets --csv", "simulate --out"):
        refused = ask(*command.split(), str(tmp_path / "file" / "out")).exception
        assert isinstance(refused, BadInput) and "cannot write" in str(refused)
    for folder in (tmp_path, "", "."):
        refused = ask("targets", "--csv", str(folder)).exception
        assert isinstance(refused, BadInput) and "is a folder; name a file in it" in str(refused)


def test_a_file_behind_a_link_is_written_and_a_pipe_stays_one(tmp_path):
    rows = pd.DataFrame({"a": [1]})
    (tmp_path / "folder").mkdir()
    file, link, pipe = tmp_path / "folder" / "out.csv", tmp_path / "link.csv", tmp_path / "pipe"
    link.symlink_to("folder/out.csv")
    for _ in range(2):
        write_csv(rows, link)
        assert link.is_symlink() and file.read_text() == "a\n1\n"
    assert [*file.parent.iterdir()] == [file]
    os.mkfifo(pipe)
    (tmp_path / "to-pipe").symlink_to(pipe)
    for out in (pipe, tmp_path / "to-pipe"):
        with pytest.raises(BadInput, match="is no regular file"):
            write_csv(rows, out)
    assert pipe.is_fifo()


def test_a_folder_that_holds_something_else_is_no_place_for_a_simulation(monkeypatch, tmp_path):
    monkeypatch.setattr("sparkify.session.open_session", None)
    (tmp_path / "file").write_text("")
    for out, said in ((tmp_path, "holds files"), (tmp_path / "file", "is a file")):
        assert said in str(ask("simulate", "--out", str(out)).exception)


def test_a_log_is_told_now_and_then_what_a_stage_is_at(capsys, monkeypatch):
    monkeypatch.setattr(terminal, "LOG_EVERY_S", 0.01)
    with terminal.stage("Building") as say:
        say("3 of 9")
        seen = ""
        while "3 of 9" not in seen:
            seen += capsys.readouterr().out
    assert seen.startswith("… Building 0 s") and "✓" not in seen
    assert capsys.readouterr().out.splitlines()[-1].startswith("✓ Building")


def test_who_wants_it_quiet_hears_of_errors_only_and_for_that_command(capsys):
    with terminal.quietly(True):
        with terminal.stage("Building"):
            terminal.line("a line")
        terminal.table("title", {"a": "left"}, [(1,)])
        terminal.emit("{}\n")
        terminal.warn("error: no")
    assert capsys.readouterr() == ("{}\n", "error: no\n")
    with terminal.quietly(False):
        terminal.line("a line")
    assert capsys.readouterr().out == "a line\n"
