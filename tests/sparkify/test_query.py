"""What `sparkify sql`, `tables` and `targets` show, and what they refuse."""

import pandas as pd
import pytest
from click.testing import CliRunner, Result

from sparkify import query, terminal
from sparkify.cli import cli
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


@pytest.mark.parametrize(
    "statement",
    [
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
    ],
)
def test_what_only_reads_is_run(schema, spark, statement):
    done = ask("sql", statement)
    assert done.exit_code == 0, done.exception
    assert spark.table("asked.dim_users").count() == 1


@pytest.mark.parametrize(
    "statement",
    [
        "drop table asked.dim_users",
        "/* select */ insert into asked.dim_users values ('b', 2)",
        "with x as (select 'b', 2) insert into asked.dim_users select * from x",
        "from asked.dim_users insert into asked.dim_users select *",
        "create table asked.other as select 1 as one",
        "create or replace temporary view dim_users as select 1 as one",
        "truncate table asked.dim_users",
        "set spark.sql.ansi.enabled=true",
        "refresh table asked.dim_users",
    ],
)
def test_what_may_write_is_refused_unless_it_is_asked_for(schema, spark, statement):
    refused = ask("sql", statement).exception
    assert isinstance(refused, WrongUse) and "--write" in str(refused)
    assert spark.table("asked.dim_users").count() == 1
    assert query.tables_of(spark, "asked") == ["dim_users"]


def test_two_statements_are_no_query(schema, spark):
    refused = ask("sql", "select 1; drop table asked.dim_users").exception
    assert isinstance(refused, WrongUse) and "cannot be run" in str(refused)
    closed = ask("sql", "select 1) as a; drop table asked.dim_users --").exception
    assert isinstance(closed, WrongUse)
    assert spark.catalog.tableExists("asked.dim_users")


def test_who_asks_for_it_may_write(schema, spark):
    assert ask("sql", "--write", "insert into asked.dim_users values ('b', 2)").exit_code == 0
    assert spark.table("asked.dim_users").count() == 2


def test_an_unknown_table_or_column_leads_to_the_nearest(schema):
    unknown = str(ask("sql", "select * from asked.dim_user").exception)
    assert "did you mean asked.dim_users?" in unknown
    far = str(ask("sql", "select * from asked.nothing_like_it").exception)
    assert "in asked there are dim_users" in far and "did you mean" not in far
    assert "`visits`" in str(ask("sql", "select visit from asked.dim_users").exception)


def test_before_a_build_it_is_said_how_to_build(spark, monkeypatch):
    monkeypatch.setenv("SPARKIFY_SCHEMA", "unbuilt")
    for command in (("sql", "select * from unbuilt.dim_users"), ("tables",)):
        refused = ask(*command).exception
        assert isinstance(refused, BadInput | WrongUse)
        assert "`sparkify build --events PATH`" in str(refused)


def test_a_row_is_one_row_and_what_is_too_wide_stands_below_each_other(capsys):
    query.print_table(pd.DataFrame({"day": [pd.Timestamp("2018-10-01 12:00:00")]}))
    assert capsys.readouterr().out.splitlines()[1:] == ["2018-10-01 12:00:00", "1 row"]
    wide = pd.DataFrame(
        [[f"value {i}" for i in range(40)]] * 2, columns=map("c{}".format, range(40))
    )
    query.print_table(wide)
    shown = capsys.readouterr().out.splitlines()
    assert [text.split() for text in shown[:3]] == [
        ["row", "1"],
        ["c0", "value", "0"],
        ["c1"] + ["value", "1"],
    ]
    assert len(shown) == 2 * 41 + 1 and shown[-1] == "2 rows"


def test_the_columns_of_a_table_are_told_without_spark():
    shown = ask("tables", "sparkify.fct_user_days")
    assert shown.exit_code == 0
    assert "One row per (user_id, activity_date)" in " ".join(shown.output.split())
    assert "activity_date" in shown.output and "date" in shown.output
    assert "did you mean fct_user_days?" in str(ask("tables", "fct_user_day").exception)


def test_no_cell_of_a_file_for_people_is_a_formula(tmp_path):
    texts = ["=1+1", "+a", "-b", "@c", "\td", "\re", "f=1", "", None]
    write_csv(pd.DataFrame({"text": texts, "number": range(-4, 5)}), tmp_path / "out.csv")
    found = pd.read_csv(tmp_path / "out.csv", keep_default_na=False, lineterminator="\n")
    assert found["text"].tolist() == [*(f"'{text}" for text in texts[:6]), "f=1", "", ""]
    assert found["number"].tolist() == list(range(-4, 5))


def test_a_place_that_cannot_be_written_is_refused_before_anything_is_done(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="cannot write .*choose another place"):
        check_writable(tmp_path / "file" / "out.csv")
    for command in ("targets --csv", "simulate --out"):
        refused = ask(*command.split(), str(tmp_path / "file" / "out")).exception
        assert isinstance(refused, BadInput) and "cannot write" in str(refused)


def test_a_log_is_told_now_and_then_what_a_stage_is_at(capsys, monkeypatch):
    monkeypatch.setattr(terminal, "LOG_EVERY_S", 0.01)
    with terminal.stage("Building") as say:
        say("3 of 9")
        seen = ""
        while "3 of 9" not in seen:
            seen += capsys.readouterr().out
    assert seen.startswith("… Building 0 s") and "✓" not in seen
    assert capsys.readouterr().out.splitlines()[-1].startswith("✓ Building")


def test_who_wants_it_quiet_hears_of_errors_only(capsys, monkeypatch):
    monkeypatch.setattr(terminal.console, "quiet", False)
    terminal.be_quiet()
    with terminal.stage("Building"):
        terminal.line("a line")
    terminal.table("title", {"a": "left"}, [(1,)])
    terminal.emit("{}\n")
    terminal.warn("error: no")
    assert capsys.readouterr() == ("{}\n", "error: no\n")
