"""Tables in another folder than that of SPARKIFY_HOME; tests/server/test_s3.py has S3."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pyspark
import pytest

from sparkify import transform
from sparkify.delta import S3
from sparkify.engine import SMALL_BYTES, size_of_tables
from sparkify.errors import BadInput, WrongUse
from sparkify.settings import KEY_DIGEST, PROJECT, Settings
from sparkify.unchanged import inputs_of
from sparkify.warehouse import check_warehouse, real

pytestmark = pytest.mark.long

BIN = Path(sys.executable).parent


@pytest.mark.parametrize(
    ("given", "place"),
    [
        ("", None),
        ("s3a://lake/tables/", "s3a://lake/tables"),
        ("file:///data/a b", "/data/a b"),
        ("file:/data", "/data"),
        ("/data/", "/data"),
        ("data", str(Path("data").absolute())),
    ],
)
def test_a_warehouse_is_an_address_or_an_absolute_path(monkeypatch, given, place):
    monkeypatch.setenv("SPARKIFY_WAREHOUSE", given)
    found = Settings.from_environment()
    found.check()
    assert found.warehouse == place
    below_home = found.home / "warehouse"
    assert found.local_warehouse == (
        None if "s3a" in given else Path(place) if place else below_home
    )


@pytest.mark.parametrize(
    "given",
    [
        "s3://lake/tables",
        "s3a://lake",
        "s3a://lake/",
        "file://data",
        "s3a://me:hush@lake/x",
        "s3a://me:hush/and/more@lake/x",
        " s3a://lake",
        "/",
        __file__,
    ],
)
def test_a_warehouse_that_cannot_be_is_refused_and_a_password_not_repeated(monkeypatch, given):
    monkeypatch.setenv("SPARKIFY_WAREHOUSE", given)
    with pytest.raises(WrongUse, match="SPARKIFY_WAREHOUSE is") as refused:
        Settings.from_environment().check()
    assert "hush" not in str(refused.value)


def test_a_warehouse_on_s3_needs_jars_delta_and_one_driver(settings, tmp_path, monkeypatch):
    away = replace(settings, warehouse="s3a://lake/tables", jars=tmp_path)
    with pytest.raises(BadInput, match="`sparkify setup --with s3`"):
        check_warehouse(away)
    with pytest.raises(WrongUse, match="SPARKIFY_WAREHOUSE is for Delta tables"):
        check_warehouse(replace(away, target="parquet"))
    monkeypatch.setenv("SPARKIFY_METASTORE_URL", "jdbc:postgresql://host/metastore")
    with pytest.raises(WrongUse, match="lets several drivers write"):
        check_warehouse(away)


def test_of_tables_elsewhere_neither_size_nor_state_is_known(settings, tmp_path):
    away = replace(settings, warehouse="s3a://lake/tables")
    assert size_of_tables(away) == SMALL_BYTES
    assert inputs_of(away, str(tmp_path)) is None


def test_the_jars_of_s3_are_of_the_hadoop_that_spark_has():
    jars = Path(pyspark.__file__).parent / "jars"
    (hadoop,) = jars.glob("hadoop-client-api-*.jar")
    version = hadoop.stem.removeprefix("hadoop-client-api-")
    assert f"org.apache.hadoop:hadoop-aws:{version}" in S3.coordinates


def test_a_place_has_one_name(tmp_path):
    (tmp_path / "a b").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "a b")
    names = (
        f"file:{tmp_path}/a%20b",
        f"file://{tmp_path}/a%20b",
        f"{tmp_path}/link/",
        f"{tmp_path}/a b",
    )
    assert set(map(real, names)) == {os.path.realpath(tmp_path / "a b")}
    assert real("s3a://lake/a%20b/") == real("s3a://lake/a b") != real("s3a://lake/ab")


@pytest.mark.slow
def test_tables_lie_in_the_folder_named_and_a_changed_one_is_refused(tmp_path):
    home = tmp_path / "home"

    def call(*command: str, warehouse: str) -> subprocess.CompletedProcess:
        own = {"SPARKIFY_HOME": str(home), "SPARKIFY_WAREHOUSE": warehouse}
        own |= {"DBT_TARGET_PATH": str(home / "dbt"), "DBT_LOG_PATH": str(home / "logs")}
        command = [str(BIN / command[0]), *command[1:]]
        return subprocess.run(
            command,
            cwd=PROJECT,
            env=os.environ | own,
            capture_output=True,
            text=True,
            timeout=120,
        )

    named, other = tmp_path / "named here", tmp_path / "other"
    table = "create table sparkify.numbers using delta as select 1 as number"
    for statement in ("create schema sparkify", table):
        done = call("sparkify", "sql", "--write", statement, warehouse=f"file://{named}")
        assert done.returncode == 0, done.stderr
    assert (named / "sparkify.db" / "numbers" / "_delta_log").is_dir()
    assert not (home / "warehouse").exists()
    done = call("sparkify", "tables", warehouse=str(other))
    assert done.returncode == 2 and done.stderr.count("\n") == 1, done.stderr
    assert "the tables of sparkify lie in" in done.stderr and str(named) in done.stderr
    done = call("dbt", "run", "--select", "dim_users", warehouse=str(other))
    assert done.returncode and "the tables of sparkify lie in" in done.stdout


def test_a_bare_run_in_a_copied_home_does_not_write_into_the_original(
    spark, settings, monkeypatch, tmp_path
):
    """A catalogue that was copied has the tables where they were."""
    (tmp_path / "link").symlink_to(settings.home / "warehouse")
    for name, place in {"copied": tmp_path / "original", "linked": tmp_path / "link"}.items():
        monkeypatch.setenv("SPARKIFY_SCHEMA", name)
        own = Settings.from_environment()
        spark.sql(f"create schema {name} location '{place}/{name}.db'")
        own.export()
        # `sparkify` looks itself, and knows where links lead.
        with pytest.raises(BadInput, match="No events are registered yet"):
            transform.run_dbt(own, "run")
        with monkeypatch.context() as patch:
            patch.delenv(KEY_DIGEST)
            patch.setattr(Settings, "export", lambda self: None)
            arguments = ("register_events", "--args", f"{{path: {tmp_path}}}")
            for command in (("run",), ("run-operation", *arguments)):
                with pytest.raises(BadInput, match=f"the tables of {name} lie in .* SPARKIFY_HOME"):
                    transform.run_dbt(own, *command)
        assert not spark.catalog.databaseExists(f"{name}_raw")
        spark.sql(f"drop schema {name} cascade")
