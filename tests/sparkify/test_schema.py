"""Two projects in one catalogue: the schema's name is one setting."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from sparkify import transform
from sparkify.datasets import definitions
from sparkify.errors import BadInput, WrongUse
from sparkify.settings import Settings, schema_name, written
from tests.declared import declared
from tests.sparkify.remedies import ask, named, output_of, refusal
from tests.sparkify.test_vars import TEXTS

pytestmark = pytest.mark.long

# What needs a model, and all that needs tables.
LEARNED = (("score",), ("explain", "--user", "nobody"), ("models",), ("evaluate",), ("targets",))
ASKED = (
    *(*LEARNED, ("checks",), ("tables",), ("maintain",), ("status",), ("report",), ("train",)),
    ("sql", "select count(*) from other.dim_users"),
    ("evaluate", "--protocol", "leaky"),
)


def tables_elsewhere(spark, *, prefix: str) -> set[tuple[str, str]]:
    """Every table and view outside the schemas that begin with a prefix."""
    schemas = [row.namespace for row in spark.sql("show schemas").collect()]
    return {
        (schema, row.tableName)
        for schema in schemas
        if not schema.startswith(prefix)
        for row in spark.sql(f"show tables in {schema}").collect()
        if not row.isTemporary
    }


@dataclass(frozen=True)
class Other:
    """A project in a schema of its own. refused: what commands said before it was built.

    given: the vars that it was built with. shown: what the build printed. before: the tables and
    views of all other schemas.
    """

    events: Path
    refused: dict[tuple[str, ...], str]
    given: dict[str, object]
    shown: str
    before: set[tuple[str, str]]


@pytest.fixture(scope="module")
def other(spark, simulated_days, tmp_path_factory) -> Iterator[Other]:
    events = tmp_path_factory.mktemp("the events")
    for day, lines in simulated_days.items():
        (events / f"{day}.json").write_text("\n".join(lines))
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("SPARKIFY_SCHEMA", "Other")
        refused = {asked: refusal(*asked) for asked in ASKED}
        # Tables of an older version, without a column that runs write now.
        for schema, table, columns in (
            ("other", "quality_ledger", "run_id string, checked_at timestamp, status string"),
            ("other_ml", "backtest", "user_id string, label int"),
        ):
            spark.sql(f"create schema if not exists {schema}")
            spark.sql(f"create table {schema}.{table} ({columns}) using delta")
        # The definitions of the call reach SQL too, whatever characters a text has.
        pages, auths = ["Cancellation Confirmation", *TEXTS], ["Logged Out", "Guest", *TEXTS]
        given = {"horizon_days": 7, "churn_pages": pages, "anonymous_auths": auths}
        before = tables_elsewhere(spark, prefix="other")
        (build,) = {named(said, PATH=str(events))[0] for said in refused.values()}
        shown = output_of("--vars", written(given), *build)
        yield Other(events, refused, given, shown, before)
    for schema in ("other", "other_raw", "other_ml"):
        spark.sql(f"drop schema if exists {schema} cascade")


def test_another_schema_takes_everything_and_leaves_the_rest_alone(spark, other):
    assert tables_elsewhere(spark, prefix="other") == other.before
    users = spark.table("other.dim_users").count()
    assert f"users {users}" in " ".join(other.shown.split())
    chosen = replace(Settings.from_environment(), overrides=other.given)
    assert definitions(spark, chosen)["horizon_days"] == "7"
    for changed in (
        {"churn_pages": ["Logout"]},
        {"churn_definition": "inactive"},
        {"horizon_days": 8},
    ):
        with pytest.raises(BadInput, match="the tables were built with .*, and --vars says"):
            definitions(spark, replace(chosen, overrides=other.given | changed))
    for name, columns in declared().items():
        is_beside = name not in ("quality_ledger", "erased_users")
        table = spark.table(f"other{'_ml' if is_beside else ''}.{name}")
        assert dict(table.dtypes) == {each: columns[each]["data_type"] for each in columns}
    # What a model learned from must not be forgotten.
    kept = spark.sql("show tblproperties other.fct_user_snapshots ('delta.logRetentionDuration')")
    assert kept.first()["value"] == "interval 3650 days"
    assert "is_churned_next_7d" in spark.table("other.fct_user_snapshots").columns
    assert spark.table("other.dim_users").where("is_churned").count() > 0
    assert spark.table("other_ml.churn_scores").count() == 0
    assert spark.table("other_raw.lines").count() > 0
    tools = spark.table("other.quality_ledger").select("tool").distinct().collect()
    assert {row.tool for row in tools} == {"dbt", "great_expectations"}
    counted = output_of("sql", "select count(*) as n from other.dim_users", "--format", "csv")
    assert counted == f"n\n{users}\n"
    refused = ask("train", "--feature-version", "999").exception
    assert "other.fct_user_snapshots" in str(refused)


def test_what_is_refused_before_a_build_names_it_and_is_not_refused_after_it(other):
    assert {asked: named(said)[0] for asked, said in other.refused.items()} == dict.fromkeys(
        ASKED, ("build", "--events", "PATH")
    )
    assert "Checks of the run of" in output_of("checks")
    assert "other.dim_users" in output_of("tables") and "Train again" in output_of("status")
    # Of a dozen users nothing is learned: the command that is named says what lacks.
    wanting = {asked: refusal(*asked) for asked in LEARNED}
    for asked, said in wanting.items():
        assert ("no model other-churn " if asked != ("evaluate",) else "no model was tr") in said
    (train,) = {named(said)[1] for said in wanting.values()}
    assert refusal(*train).endswith("are needed: give a longer history or more users.")


@pytest.mark.slow
def test_tables_of_other_definitions_are_built_anew_by_what_is_named(spark, other):
    """Snapshots of another build, vars of another, and a table that was written by hand."""
    spark.sql("update other.fct_sessions set error_count = error_count")
    checks = " ".join(output_of("checks").split())
    assert "fct_sessions was written after the checks that stand" in checks
    changed = ("--vars", written({"horizon_days": 8}))
    said = refusal(*changed, "train")
    assert "built with horizon_days 7, and --vars says 8" in said
    alone = Settings.from_environment(overrides={"horizon_days": 8})
    transform.run_dbt(alone, "run", "--select", "fct_user_snapshots")
    apart = refusal("train")
    assert "are not of one build" in apart
    (build,) = named(said, PATH=str(other.events))
    assert build[2:] == named(apart, PATH=str(other.events))[0] == named(checks, PATH=build[-1])[0]
    output_of(*build)
    assert "churned, 20 are needed" in refusal(*changed, "train")
    assert "written after" not in " ".join(output_of("checks").split())


@pytest.mark.parametrize("name", ["", "1st", "a-b", "a.b", "a b", "`a`", "é", "dev_raw", "DEV_ML"])
def test_what_no_schema_can_be_called_is_refused_before_anything_starts(monkeypatch, name):
    with pytest.raises(WrongUse, match="^SPARKIFY_SCHEMA is "):
        schema_name(name)
    monkeypatch.setenv("SPARKIFY_SCHEMA", name)
    assert ask("models").exception.exit_code == 2
