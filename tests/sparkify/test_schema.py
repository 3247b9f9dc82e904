"""Two projects in one catalogue: the schema's name is one setting."""

from dataclasses import replace

import pytest
from click.testing import CliRunner, Result

from sparkify.cli import cli
from sparkify.datasets import definitions
from sparkify.errors import BadInput, WrongUse
from sparkify.settings import Settings, schema_name, written
from tests.declared import declared
from tests.sparkify.test_vars import TEXTS

pytestmark = pytest.mark.long


def call(*arguments: str) -> Result:
    done = CliRunner().invoke(cli, arguments)
    assert done.exit_code == 0, done.exception
    return done


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


@pytest.fixture
def other_schema(spark, simulated_days, tmp_path, monkeypatch):
    """A folder of events, while another schema is the one in use."""
    monkeypatch.setenv("SPARKIFY_SCHEMA", "Other")
    for day, lines in simulated_days.items():
        (tmp_path / f"{day}.json").write_text("\n".join(lines))
    yield tmp_path
    for schema in ("other", "other_raw", "other_ml"):
        spark.sql(f"drop schema if exists {schema} cascade")


def test_another_schema_takes_everything_and_leaves_the_rest_alone(spark, other_schema):
    # Tables of an older version, without a column that runs write now.
    for schema, table, columns in (
        ("other", "quality_ledger", "run_id string, checked_at timestamp, status string"),
        ("other_ml", "backtest", "user_id string, label int"),
    ):
        spark.sql(f"create schema if not exists {schema}")
        spark.sql(f"create table {schema}.{table} ({columns}) using delta")
    before = tables_elsewhere(spark, prefix="other")
    # The definitions of the call reach SQL too, whatever characters a text has.
    pages, auths = ["Cancellation Confirmation", *TEXTS], ["Logged Out", "Guest", *TEXTS]
    given = {"horizon_days": 7, "churn_pages": pages, "anonymous_auths": auths}
    built = call("--vars", written(given), "build", "--events", str(other_schema)).output
    assert tables_elsewhere(spark, prefix="other") == before
    users = spark.table("other.dim_users").count()
    assert f"users {users}" in " ".join(built.split())
    chosen = replace(Settings.from_environment(), overrides=given)
    assert definitions(spark, chosen)["horizon_days"] == "7"
    for other in (
        {"churn_pages": ["Logout"]},
        {"churn_definition": "inactive"},
        {"horizon_days": 8},
    ):
        with pytest.raises(BadInput, match="the tables were built with .*, and --vars says"):
            definitions(spark, replace(chosen, overrides=given | other))
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
    assert "Checks of the run of" in call("checks").output
    counted = call("sql", "select count(*) as n from other.dim_users", "--format", "csv").output
    assert counted == f"n\n{users}\n"
    refused = CliRunner().invoke(cli, ["train", "--feature-version", "999"]).exception
    assert "other.fct_user_snapshots" in str(refused)
    for command in (["explain", "--user", "nobody"], ["models"]):
        refused = str(CliRunner().invoke(cli, command).exception)
        assert "no model other-churn " in refused and "`sparkify train`" in refused


@pytest.mark.parametrize("name", ["", "1st", "a-b", "a.b", "a b", "`a`", "é", "dev_raw", "DEV_ML"])
def test_what_no_schema_can_be_called_is_refused_before_anything_starts(monkeypatch, name):
    with pytest.raises(WrongUse, match="^SPARKIFY_SCHEMA is "):
        schema_name(name)
    monkeypatch.setenv("SPARKIFY_SCHEMA", name)
    assert CliRunner().invoke(cli, ["models"]).exception.exit_code == 2
