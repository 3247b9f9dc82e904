"""`sparkify erase`: nothing of one user is left, all of the others is, and nobody returns."""

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import quote, quote_plus

import pandas as pd
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from sparkify import transform
from sparkify.catalog import described, tables_of
from sparkify.cli import cli
from sparkify.commands import erase, train
from sparkify.commands.erase import (
    QUIET,
    Place,
    check_id,
    confirm,
    forget_history,
    holds,
    others,
    personal_columns,
    restore,
    strays,
)
from sparkify.commands.maintain import delta_settings
from sparkify.errors import BadInput, WrongUse
from sparkify.identity import cleaned_id, stored_id
from sparkify.personal_files import User, personal_files, unknown_files, without_rows
from sparkify.settings import Settings
from tests.declared import declared
from tests.sparkify.remedies import named, output_of, refusal

pytestmark = pytest.mark.long

# A sign that parts words is a part of it.
GONE = "erase-me|7f3a91"
# Tables that people make, each with a column that may name a user.
OWN = {
    "campaign": "using parquet as select user_id, 1 as sent",
    "campaign_by_name": "using csv as select user_id as `User`, user_id as note",
    "contacted": "using delta as select user_id as customer, 'mail' as how",
}
SCHEMAS = ("erasing", "erasing_ml")


@pytest.fixture(scope="module")
def log(simulated_days, tmp_path_factory) -> Path:
    """A log of 12 users, one of whom is called GONE, with lines that are rejected or broken."""
    folder = tmp_path_factory.mktemp("log")
    events = [json.loads(line) for lines in simulated_days.values() for line in lines]
    for event in events:
        event["userId"] = GONE if event["userId"] == "3" else event["userId"]
    one = next(event for event in events if event["userId"] == GONE)
    lines = [json.dumps(event) for event in [*events, one, one | {"ts": "soon"}]]
    broken = [lines[-1][:-30], f"17,{GONE}.0,NextSong", f'{{"userId": "4", "page": "{GONE}1']
    (folder / "log.json").write_text("\n".join([*lines, *broken]))
    return folder


@pytest.fixture(scope="module")
def home(spark, settings) -> Path:
    """The suite's home, with the files that training, scoring and people leave in it."""
    home = settings.home
    kept = home.with_name("report-of-others")
    if (home / "report").exists():
        (home / "report").rename(kept)
    model = home / "mlflow" / "artifacts" / "0" / "artifacts" / "model"
    for folder in (model, home / "report", home / "data_docs", home / "logs"):
        folder.mkdir(parents=True, exist_ok=True)
    users = pd.DataFrame({"user": ["4", GONE, "5"], "p": [0.1, 0.2, 0.3]})
    users.to_parquet(model / "backtest.parquet")
    users.to_csv(model / "out_of_fold.csv", index=False)
    users.to_csv(home / "contact.csv", index=False)
    (home / "report" / "Sparkify.html").write_text(f"<td>{GONE}</td>")
    (home / "data_docs" / "index.html").write_text(f"found ['{GONE}']")
    (home / "contacts.xlsx").write_text("a form that nothing here reads")
    with (home / "logs" / "spark.log").open("a") as file:
        file.write(f"no number: '{GONE}'\n")
    yield home
    (home / "contact.csv").unlink()
    (home / "contacts.xlsx").unlink()
    if kept.exists():
        (home / "report").rmdir()
        kept.rename(home / "report")


@pytest.fixture(scope="module")
def make(spark, settings, log) -> Callable[..., None]:
    """A function that makes every table from the log, in a schema of its own, without tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPARKIFY_SCHEMA", "erasing")
        own = Settings.from_environment(overrides={"max_nulled_share": 1})

        def make_all(*arguments: str) -> None:
            transform.register_events(own, str(log))
            transform.run_dbt(own, "run", *arguments)

        yield make_all
    for schema in ("erasing", "erasing_raw", "erasing_ml"):
        spark.sql(f"drop schema if exists {schema} cascade")


@pytest.fixture(scope="module")
def built(spark, make) -> None:
    """Tables, scores of all users, what training writes, and a check that names one."""
    make()
    for table, columns in declared().items():
        if "user_id" in columns and table != "erased_users":
            rest = ", ".join(
                f"cast(null as {each['data_type']}) as {name}"
                for name, each in columns.items()
                if name not in ("user_id", "as_of_date", "scored_at")
            )
            times = (
                ", timestamp'2018-12-01 00:00:00' as scored_at" if "scored_at" in columns else ""
            )
            spark.sql(
                f"insert into erasing_ml.{table} by name select user_id, date'2018-12-01' as "
                f"as_of_date{times}, {rest} from erasing.dim_users"
            )
    spark.sql(
        "insert into erasing.quality_ledger by name select 'r' as run_id, current_timestamp() as "
        f"checked_at, 'x' as check_name, \"such as ['{GONE}']\" as detail"
    )
    for name, made in OWN.items():
        spark.sql(f"create table erasing.{name} {made} from erasing.dim_users")
    make("--select", "path:models/marts/retention")
    spark.sql(
        "insert into erasing.fct_retention_targets by name select user_id from erasing.dim_users"
    )


def tables(spark) -> dict[str, pd.DataFrame]:
    """Every table that is stored, as text."""
    found = {}
    for schema in SCHEMAS:
        views = {row.viewName for row in spark.sql(f"show views in {schema}").collect()}
        for name in sorted({*tables_of(spark, schema)} - views):
            rows = spark.table(f"{schema}.{name}")
            texts = rows.selectExpr(
                *(f"cast({column} as string) as {column}" for column in rows.columns)
            )
            found[f"{schema}.{name}"] = texts.toPandas()
    return found


def of_others(rows: pd.DataFrame, *, but: tuple[str, ...] = ()) -> pd.DataFrame:
    """The rows that do not name the user, in a fixed order."""
    names = rows.apply(lambda column: column.str.contains(GONE, regex=False, na=False))
    rows = rows[~names.any(axis=1)].drop(columns=list(but), errors="ignore")
    return rows.sort_values(list(rows.columns)).reset_index(drop=True)


def files_with(home: Path, text: str) -> list[str]:
    """The files whose bytes, or if they are Parquet whose values, hold a text as a word."""
    found = []
    for file in sorted(file for file in home.rglob("*") if file.is_file()):
        content = file.read_bytes()
        if file.suffix == ".parquet":
            content += str(pq.ParquetFile(file).read().to_pylist()).encode()
        # Another user's id may begin with it.
        if text.encode() in content.replace(f"{GONE}1".encode(), b""):
            found.append(file.relative_to(home).as_posix())
    return found


@pytest.fixture(scope="module")
def before(spark, built, home) -> dict[str, pd.DataFrame]:
    return tables(spark)


@pytest.fixture(scope="module")
def erased(spark, before) -> str:
    """What the command says."""
    done = CliRunner().invoke(cli, ["erase", "--user", GONE, "--yes"])
    assert done.exit_code == 0, done.exception
    return " ".join(done.output.split())


def test_every_column_that_names_a_user_is_in_the_inventory(before):
    told, found = described(), set()
    for name, rows in before.items():
        if name.split(".")[1] in OWN:
            continue
        for column in rows:
            if rows[column].str.contains(GONE, regex=False, na=False).any():
                found.add((name.split(".")[1], column))
    inventory = {(name, column) for name in told for column in personal_columns(told[name])}
    assert found <= inventory
    stored = {(name, column) for name, column in inventory if not name.startswith("stg_")}
    assert found == stored
    assert {
        (name, "user_id")
        for name in told
        for each in told[name].get("columns", [])
        if each["name"] == "user_id"
    } <= inventory


def test_who_is_not_there_cannot_be_erased(before):
    done = CliRunner().invoke(cli, ["erase", "--user", "nobody", "--yes"])
    assert done.exception.exit_code == 3 and "dim_users" in str(done.exception)
    asked = CliRunner().invoke(cli, ["erase", "--user", GONE], input="n\n")
    assert "for good?" in asked.output and "the answer was no" in str(asked.exception)
    with CliRunner().isolation(input=""), pytest.raises(WrongUse, match="nobody .* add --yes"):
        confirm("Erase?")


def test_where_no_tables_are_none_is_named_to_look_into(asking):
    with pytest.raises(BadInput, match="in the same case: there are no tables of users yet"):
        erase.erase(asking, "nobody", is_confirmed=True)


def test_a_user_whom_a_file_is_named_for_cannot_be_erased(before):
    done = CliRunner().invoke(cli, ["erase", "--user", "log", "--yes"])
    assert done.exception.exit_code == 3 and "log.json is named for the user" in str(done.exception)


@pytest.mark.parametrize(
    ("file", "remedy"),
    [
        ("/log/36.json", "give it another name, run .* then$"),
        ("/36/a.json", "give it another name, run .* then$"),
        # Without that name its rows may be nobody's.
        ("/log/userId=36/a.json", "take it out of the log, run .* --anyway if nothing else"),
        ("/log/user%253D36/x/a.json", "take it out of the log, run .* --anyway if nothing else"),
    ],
)
def test_a_file_that_is_named_for_a_user_is_renamed_or_taken_out(spark, asking, file, remedy):
    spark.sql(
        "create or replace table asking.base_sparkify__rows using delta as "
        f"select 'file://{file}' as source_file"
    )
    with pytest.raises(BadInput, match=remedy):
        erase.check_reach(spark, asking, [], User("36", ("36",)))


def test_a_user_whom_a_view_names_is_erased_once_it_is_dropped(spark, asking):
    spark.sql("create table asking.those using delta as select 'in-it' as user_id")
    spark.sql("create view asking.one as select * from asking.those where user_id = 'in-it'")
    (drop,) = named(refusal("erase", "--user", "in-it", "--yes"))
    output_of(*drop)
    output_of("erase", "--user", "in-it", "--yes")
    assert spark.table("asking.those").count() == 0


def test_a_hash_that_tables_have_is_no_id_of_the_log(spark, monkeypatch):
    monkeypatch.setenv("SPARKIFY_USER_KEY", "0123456789abcdef" * 4)
    spark.createDataFrame([(stored_id("36"),)], "user_id string").createOrReplaceTempView("keyed")
    keyed = [Place("keyed", ("user_id",), ())]
    with pytest.raises(BadInput, match="give the id of the log"):
        check_id(spark, keyed, User(stored_id("36"), (stored_id("36"),)))
    check_id(spark, keyed, User("36", ("36", stored_id("36"))))


def test_a_number_that_is_not_the_user_is_left_alone(spark, tmp_path):
    rows = Place("erasing.base_sparkify__rows", ("user_id",), ("raw_row",))
    user = User("200", ("200",))
    found = spark.sql(
        f"select n from values (1, '200', 'invalid_ts', '{{}}'), (2, '4', 'invalid_ts', '200'), "
        "(3, null, 'malformed_json', '200'), (4, null, 'malformed_json', '2001') "
        f"as t (n, user_id, rejection_reason, raw_row) where {holds(rows, user)}"
    )
    assert [row.n for row in found.orderBy("n").collect()] == [1, 3]
    text = "priority,user_id,p\n200,4,0.1\n2,200,0.2\n3,'200,0.3\n"
    (tmp_path / "contact.csv").write_text(text)
    assert without_rows(tmp_path / "contact.csv", user) == (b"priority,user_id,p\n200,4,0.1\n", 2)
    for separator in ";\t|":
        (tmp_path / "contact.csv").write_text(text.replace(",", separator))
        left = f"priority{separator}user_id{separator}p\n200{separator}4{separator}0.1\n"
        assert without_rows(tmp_path / "contact.csv", user) == (left.encode(), 2)


def test_ids_in_files_are_read_as_staging_reads_them(tmp_path):
    user = User("36", ("36",))
    (tmp_path / "Contact.CSV").write_text("user,p\n36.0,1\n 36,2\n'36 ,3\n36.5,4\n,5\n")
    assert [how for _, how in personal_files(tmp_path)] == ["rows"]
    assert without_rows(tmp_path / "Contact.CSV", user) == (b"user,p\n36.5,4\n,5\n", 3)
    apart = User("'abc", ("'abc",))
    (tmp_path / "Contact.CSV").write_text("user,p\n'abc,1\n4,2\n")
    assert without_rows(tmp_path / "Contact.CSV", apart) == (b"user,p\n4,2\n", 1)
    (tmp_path / "notes.xlsx").touch()
    # As Excel writes a list as "Unicode text"; and what lies elsewhere.
    (tmp_path / "excel.csv").write_text("user,p\n36,1\n", encoding="utf-16")
    (tmp_path / "link.csv").symlink_to(tmp_path / "Contact.CSV")
    unknown = [file.name for file in unknown_files(tmp_path)]
    assert unknown == ["excel.csv", "link.csv", "notes.xlsx"]


@pytest.mark.parametrize(
    ("content", "left"),
    [
        ("user;spend, EUR\n36;12\n4;1\n", "user;spend, EUR\n4;1\n"),
        ("user_id;amount, EUR\n36;1,5\n4;2,5\n", "user_id;amount, EUR\n4;2,5\n"),
        ("user_id;a, b, c\n36;1,2,3\n4;1,2,3\n", "user_id;a, b, c\n4;1,2,3\n"),
        ("user_id\tlast, first\n36\tDoe, J\n4\tRoe, M\n", "user_id\tlast, first\n4\tRoe, M\n"),
        ("36;1,5\n4;2,5\n", "…;1,5\n4;2,5\n"),
        ("36;1\n4;2\n", "4;2\n"),
        # What is no table loses the id.
        ('user_id\tnote\n12\t"called\n36\tback\n', 'user_id\tnote\n12\t"called\n…\tback\n'),
        ('user_id,note\n12,"19 inch\n36,x\n', 'user_id,note\n12,"19 inch\n…,x\n'),
        ("user_id,note\n36,a,b\n", "user_id,note\n…,a,b\n"),
        ("`36`!", "`…`!"),
        (f"user,raw_row\n4,{'x' * 200_000}\n36,y\n", f"user,raw_row\n4,{'x' * 200_000}\n"),
        ("", ""),
    ],
)
def test_no_form_of_a_list_hides_a_row(tmp_path, content, left):
    (tmp_path / "list.csv").write_text(content)
    found, count = without_rows(tmp_path / "list.csv", User("36", ("36",)))
    assert (found.decode(), count) == (left, int(content != left))


def test_an_id_in_a_column_of_numbers_is_the_users(spark):
    user, rows = User("36", ("36",)), "values (36.0D, 36.00BD), (36.5D, 3.6BD), (null, null)"
    for id, kind in (("a", "double"), ("b", "decimal(4,2)")):
        place = Place("mine", (id,), (), True, {id: kind})
        assert (
            spark.sql(f"select * from {rows} as t (a, b) where {holds(place, user)}").count() == 1
        )


def test_tables_of_other_schemas_and_targets_are_named_with_their_command(settings, tmp_path):
    places = ("warehouse/mine.db", "warehouse/mine_ml.db", "warehouse/mine_raw.db")
    others_of = ("warehouse/x.db", "warehouse/x_ml.db", "parquet/warehouse/mine.db")
    for place in (*places, *others_of, "warehouse/own_ml.db"):
        (tmp_path / place / "t").mkdir(parents=True)
        (tmp_path / place / "t" / "part").touch()
    (tmp_path / "warehouse" / "empty.db").mkdir()
    found = others(replace(settings, home=tmp_path, schema="mine"), "Ann Lee")
    command = "sparkify erase --user 'Ann Lee'"
    assert found == {
        f"SPARKIFY_TARGET={target} SPARKIFY_SCHEMA={schema} {command}": folders
        for target, schema, folders in (
            ("local", "own", ["warehouse/own_ml.db"]),
            ("local", "x", ["warehouse/x.db", "warehouse/x_ml.db"]),
            ("parquet", "mine", ["parquet/warehouse/mine.db"]),
        )
    }


def test_a_training_beside_an_erasure_registers_nothing(settings, monkeypatch):
    counts = iter([0, 1])
    monkeypatch.setattr(train, "erased_count", lambda *_: next(counts))
    monkeypatch.setattr("ml.training.train", lambda *_, **__: None)
    monkeypatch.setattr(train, "registry", lambda *_: pytest.fail("it registers"))
    learned = SimpleNamespace(rows=SimpleNamespace(sparkSession=None), spec=None)
    with pytest.raises(BadInput, match="users were erased during the training"):
        train.fit_and_register(settings, learned, options=None, model="any", say=lambda _: None)


def test_files_of_yours_to_which_a_table_refers_are_not_written(spark, asking, tmp_path):
    (tmp_path / "log.json").write_text('{"userId": "late-7"}\n{"userId": "other-9"}\n')
    spark.sql("create table asking.one using delta as select 'late-7' as user_id")
    spark.sql(f"create table asking.mine (userId string) using json location '{tmp_path}'")
    before = (tmp_path / "log.json").read_bytes()
    with pytest.raises(BadInput, match="asking.mine refers to files of yours that name the user"):
        erase.erase(asking, "late-7", is_confirmed=True)
    assert [file.read_bytes() for file in tmp_path.iterdir()] == [before]
    assert spark.table("asking.one").count() == 1


def test_tables_of_keyed_hashes_need_their_key(spark, asking, monkeypatch):
    monkeypatch.delenv("SPARKIFY_USER_KEY", raising=False)
    hashed = "select md5(string(id)) as user_id, 'a.json' as source_file from range(3)"
    spark.sql(f"create table asking.base_sparkify__rows using delta as {hashed}")
    # Models of other tests may know a 36.
    with pytest.raises(BadInput, match="set the SPARKIFY_USER_KEY that they were built with"):
        erase.erase(asking, "keyed-36", is_confirmed=True, is_known=False)
    monkeypatch.setenv("SPARKIFY_USER_KEY", "ab" * 32)
    with pytest.raises(BadInput, match="a user keyed-36 under this SPARKIFY_USER_KEY; give the id"):
        erase.erase(asking, "keyed-36", is_confirmed=True)


def test_a_table_that_the_catalogue_has_lost_is_named(spark, asking):
    spark.sql("create table asking.one using parquet as select 'late-7' as user_id")
    place = asking.local_warehouse / "asking.db"
    shutil.copytree(place / "one", place / "lost")
    assert [*strays(spark, asking)] == [place / "lost"]
    shutil.rmtree(place / "lost")


@pytest.fixture
def asking(spark, settings, home, monkeypatch) -> Settings:
    """A schema of a few tables, in which nobody is erased."""
    monkeypatch.setenv("SPARKIFY_SCHEMA", "asking")
    spark.sql("create schema asking")
    yield replace(settings, schema="asking")
    spark.sql("drop schema asking cascade")


def test_rows_that_come_while_the_answer_is_awaited_are_erased(spark, asking, monkeypatch):
    for name, made in {"one": "delta", "two": "delta", "three": "parquet"}.items():
        spark.sql(f"create table asking.{name} using {made} as select 'other-9' as user_id")
    spark.sql("insert into asking.one values ('late-7')")

    def write(question: str) -> None:
        spark.sql("insert into asking.two values ('late-7')")
        spark.sql("insert into asking.three values ('late-7')")

    monkeypatch.setattr(erase, "confirm", write)
    erase.erase(asking, "late-7", is_confirmed=False)
    left = {name: spark.table(f"asking.{name}").collect() for name in tables_of(spark, "asking")}
    assert {name: [row.user_id for row in left[name]] for name in ("one", "two", "three")} == {
        name: ["other-9"] for name in ("one", "two", "three")
    }
    assert [row.is_word for row in left["erased_users"]] == [True]


def test_no_byte_is_left_in_what_delta_puts_off_to_delete(spark, asking, home, capsys):
    """And what may hold the user, and is not looked at, is named."""
    for name, made in {
        "vectors": "tblproperties ('delta.enableDeletionVectors' = 'true')",
        "parts": "partitioned by (user_id)",
        "columns": "tblproperties ('delta.columnMapping.mode' = 'name')",
    }.items():
        spark.sql(
            f"create table asking.{name} using delta {made} as select * from "
            "values ('later-8', 1, 'of later-8'), ('other-9', 2, '') as t(user_id, n, note)"
        )
    # In a file of its own, which nothing but a purge writes anew.
    spark.sql("insert into asking.columns values ('other-7', 3, 'with later-8')")
    spark.sql("alter table asking.columns drop column note")
    spark.sql(
        "create table asking.nested using delta as select 1 as n, array('deep') as members, "
        "current_date() as day"
    )
    erase.erase(asking, "later-8", is_confirmed=True)
    folder = home / "warehouse" / "asking.db"
    assert files_with(folder, "later-8") == []
    assert not [each for each in folder.rglob("*") if "later-8" in each.name]
    for name in ("vectors", "parts", "columns"):
        left = spark.table(f"asking.{name}").collect()
        assert {row.user_id for row in left} - {"other-7"} == {"other-9"}, name
    said = " ".join(capsys.readouterr().out.split())
    assert "Not looked at: `members` of asking.nested (array)" in said and "`day`" not in said


def test_no_version_is_left_of_a_table_that_keeps_its_files_for_years(spark, asking, home):
    years = "delta.deletedFileRetentionDuration"
    # Delta wants the log to be kept for as long.
    properties = ", ".join(
        f"'{name}' = 'interval 3650 days'" for name in (years, "delta.logRetentionDuration")
    )
    spark.sql(
        f"create table asking.kept using delta tblproperties ({properties}) "
        "as select 'years-8' as user_id"
    )
    spark.sql("insert into asking.kept values ('other-9')")
    spark.sql("delete from asking.kept where user_id = 'years-8'")
    window = {"spark.databricks.delta.vacuum.retentionWindowIgnore.enabled": "false"}
    with delta_settings(spark, QUIET | window):
        forget_history(spark, "asking.kept")
    folder = home / "warehouse" / "asking.db" / "kept"
    assert files_with(folder, "years-8") == [] and len([*folder.glob("*.parquet")]) == 1
    kept = spark.sql("show tblproperties asking.kept").collect()
    assert {row["key"]: row["value"] for row in kept}[years] == "interval 3650 days"


@pytest.mark.parametrize("user", ["auth0|36", "Ann Lee", "ab/c==", "a@b.com", "größe"])
def test_an_id_that_is_no_word_is_sought_in_no_part_of_a_line(user):
    assert not User(user, (user,)).is_word
    assert User("36", ("36",)).is_word and User("erase-me_7.x~", ()).is_word


@pytest.mark.slow
def test_what_is_masked_in_a_broken_line_stays_so_when_it_is_read_again(
    spark, home, monkeypatch, tmp_path
):
    monkeypatch.setenv("SPARKIFY_SCHEMA", "masking")
    event = {"ts": 1538352117000, "sessionId": 1, "page": "Home", "auth": "Logged In"}
    lines = [json.dumps(event | {"userId": user}) for user in ("36", "auth0|36", "4")]
    lines += ["17,36.0,NextSong", "userId=auth0|36&page=Home", "u=auth0%7C36", "page=Home"]
    lines += ["18,3.6e+1,NextSong", "19,\u200b36\u00a0,NextSong"]
    (tmp_path / "log.json").write_text("\n".join(lines))
    own = Settings.from_environment(overrides={"max_rejected_share": 1})
    transform.register_events(own, str(tmp_path))

    def rows(*arguments: str) -> list[str]:
        if arguments:
            transform.run_dbt(own, "run", "--select", "+base_sparkify__rows", *arguments)
        where = "rejection_reason = 'malformed_json'"
        found = spark.table("masking.base_sparkify__rows").where(where).collect()
        return sorted(row.raw_row for row in found)

    rows("--full-refresh")
    erase.erase(own, "36", is_confirmed=True)
    masked = ["17,…,NextSong", "18,…,NextSong", "19,\u200b…\u00a0,NextSong"]
    masked += ["page=Home", "u=auth0%7C36", "userId=auth0|…&page=Home"]
    assert rows() == masked and rows("--full-refresh") == masked
    erase.erase(own, "auth0|36", is_confirmed=True)
    assert rows() == ["…"] * 6
    assert rows("--full-refresh") == ["…"] * 6
    for schema in ("masking", "masking_raw", "masking_ml"):
        spark.sql(f"drop schema if exists {schema} cascade")


def test_a_table_of_plain_parquet_that_was_half_written_has_its_rows_back(spark, settings):
    spark.sql("create schema restoring")
    for name, rows in {"half": 0, "half__erasing": 3, "whole": 3, "whole__erasing": 2}.items():
        spark.sql(f"create table restoring.{name} using parquet as select id from range({rows})")
    restore(spark, replace(settings, schema="restoring"))
    assert tables_of(spark, "restoring") == ["half", "whole"]
    assert [spark.table(f"restoring.{name}").count() for name in ("half", "whole")] == [3, 3]
    spark.sql("drop schema restoring cascade")


@pytest.mark.parametrize("user", ["größe", 'the "one"', "ab/c==", "auth0|5f7c", "back\\slash"])
def test_an_id_is_found_as_json_and_addresses_write_it(user):
    written = (json.dumps(user), json.dumps(user, ensure_ascii=False), user, quote(user, safe=""))
    for text in (*written, quote_plus(user), quote(user, safe="").lower()):
        assert re.search(User(user, (user,)).word, f'{{"userId": {text}, "page')


@pytest.mark.parametrize(
    "text", ["36.0", "3.6e+1", "+3.6E1", "3.60e+01", "36e+0", "36.0E00", "36.0e-0", "+36.0"]
)
def test_an_id_is_found_as_floats_are_written(text):
    assert cleaned_id(text) == "36"
    assert re.search(User("36", ("36",)).word, f"17,{text},NextSong")
    for other in ("3.61e+1", "3.6e+2", "36e1", "136.0", "3.6e-1", "+36"):
        assert not re.search(User("36", ("36",)).word, f"17,{other},NextSong")
    assert not re.search(User("100000", ("100000",)).word, "a tolerance of 1e-05")


def test_no_byte_of_the_user_is_left_and_the_others_are_as_they_were(spark, before, erased, home):
    assert files_with(home, GONE) == []
    after = tables(spark)
    for name, rows in before.items():
        if name.endswith((".erased_users", ".quality_ledger")):
            continue
        kept = after[name]
        if name.endswith(".base_sparkify__rows"):
            kept = kept[kept["rejection_reason"] != "erased"]
            # Parts of this id may be anywhere in a line that is no JSON.
            broken = rows["rejection_reason"] == "malformed_json"
            is_broken = kept["rejection_reason"] == "malformed_json"
            assert is_broken.sum() == broken.sum() == 3 and set(kept["raw_row"][is_broken]) == {"…"}
            kept, rows = kept[~is_broken], rows[~broken]
        pd.testing.assert_frame_equal(of_others(kept), of_others(rows), obj=name)
    assert "such as ['…']" in list(after["erasing.quality_ledger"]["detail"])
    assert (home / "contact.csv").read_text() == "user,p\n4,0.1\n5,0.3\n"
    model = home / "mlflow" / "artifacts" / "0" / "artifacts" / "model"
    assert list(pd.read_parquet(model / "backtest.parquet")["user"]) == ["4", "5"]
    assert "no number: '…'" in (home / "logs" / "spark.log").read_text()
    assert not (home / "report" / "Sparkify.html").exists()
    assert "files of the log are yours" in erased and "erasing.dim_users 1 row " in erased
    assert "No build of this schema brings the user back" in erased
    assert re.search("no rule fits: .*contacts.xlsx", erased) and (home / "contacts.xlsx").exists()


@pytest.mark.slow
def test_no_build_brings_the_user_back(spark, make, before, erased, home):
    make("--full-refresh", "--exclude", "path:models/marts/retention")
    assert files_with(home, GONE) == []
    after = tables(spark)
    for name, rows in before.items():
        if "user_id" in rows and not name.endswith("base_sparkify__rows"):
            # What a day is made of has changed, for others as well.
            columns = ("input_version",)
            pd.testing.assert_frame_equal(
                of_others(after[name], but=columns), of_others(rows, but=columns), obj=name
            )
    rows = after["erasing.base_sparkify__rows"]
    assert len(rows) == len(before["erasing.base_sparkify__rows"])
    gone = rows[rows["rejection_reason"] == "erased"]
    assert len(gone) > 10 and gone["raw_row"].isna().all() and gone["user_id"].isna().all()
    settings = Settings.from_environment()
    assert erase.is_remembered(spark, settings, GONE)
    # One whom only old files of the log may name; the query that is named tells who there is.
    unknown = CliRunner().invoke(cli, ["erase", "--user", "nobody", "--yes"]).exception
    query = re.search(r'`sparkify sql "(.*?)"`', str(unknown))[1]
    assert GONE not in {row.user_id for row in spark.sql(query).collect()} != set()
    done = CliRunner().invoke(cli, ["erase", "--user", "nobody", "--yes", "--anyway"])
    assert done.exit_code == 0, done.exception
    assert erase.is_remembered(spark, settings, "nobody")
