"""Failures that a user meets: one line with the cause and the remedy, and an exit code."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SPARKIFY = str(Path(sys.executable).parent / "sparkify")


def call(*arguments: str, **environment: str) -> subprocess.CompletedProcess:
    # The suite's own choice of a target would hide what happens without one.
    inherited = {name: value for name, value in os.environ.items() if name != "SPARKIFY_TARGET"}
    return subprocess.run(
        [SPARKIFY, *arguments],
        env=inherited | environment,
        capture_output=True,
        text=True,
        timeout=120,
    )


def assert_one_line(done: subprocess.CompletedProcess, code: int, *words: str) -> None:
    assert done.returncode == code, done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert done.stderr.startswith("error: ")
    for word in words:
        assert word in done.stderr


def test_a_path_that_does_not_exist_is_named(tmp_path):
    done = call("build", "--events", str(tmp_path / "none"), SPARKIFY_HOME=str(tmp_path))
    assert_one_line(done, 3, str(tmp_path / "none"))


def test_an_empty_folder_is_named(tmp_path):
    (tmp_path / "empty").mkdir()
    done = call("run", "--events", str(tmp_path / "empty"), SPARKIFY_HOME=str(tmp_path))
    assert_one_line(done, 3, "holds no files")


def test_no_java_says_what_to_install(tmp_path):
    done = call("sql", "select 1", JAVA_HOME=str(tmp_path), SPARKIFY_HOME=str(tmp_path))
    assert_one_line(done, 3, "Java was not found", "OpenJDK 17")


def test_the_wrong_java_is_named(tmp_path):
    java = tmp_path / "bin" / "java"
    java.parent.mkdir()
    java.write_text("#!/bin/sh\necho 'openjdk version \"11.0.2\" 2019-01-15' >&2\n")
    java.chmod(0o755)
    done = call("sql", "select 1", JAVA_HOME=str(tmp_path), SPARKIFY_HOME=str(tmp_path))
    assert_one_line(done, 3, "Java 11 was found", "17 or 21")


def test_missing_jars_lead_to_set_up_or_parquet(tmp_path):
    environment = {"SPARKIFY_JARS": str(tmp_path), "SPARKIFY_HOME": str(tmp_path)}
    chosen = call("--target", "local", "sql", "select 1", **environment)
    assert_one_line(chosen, 3, "make setup", "SPARKIFY_TARGET=parquet")
    fallen_back = call("sql", "select 1 as one", "--format", "csv", **environment)
    assert fallen_back.stdout == "one\n1\n"
    assert "not replaced atomically" in fallen_back.stderr


def test_a_second_process_on_the_metastore_learns_of_the_server(spark, settings):
    spark.sql("show databases").collect()
    done = call("sql", "select 1", SPARKIFY_HOME=str(settings.home))
    assert_one_line(done, 2, "sparkify serve")


def test_training_on_a_table_needs_its_columns_named(tmp_path):
    done = call("train", "--parquet", str(tmp_path), SPARKIFY_HOME=str(tmp_path))
    assert_one_line(done, 2, "--id", "--label")


def test_an_unknown_target_lists_the_known_ones(tmp_path):
    done = call("--target", "moon", "sql", "select 1", SPARKIFY_HOME=str(tmp_path))
    assert_one_line(done, 2, "local, parquet, thrift")


def test_dbt_without_events_says_how_to_get_some(tmp_path):
    done = subprocess.run(
        [str(Path(sys.executable).parent / "dbt"), "run"],
        cwd=Path(__file__).parents[2],
        env=os.environ | {"SPARKIFY_HOME": str(tmp_path), "DBT_TARGET_PATH": str(tmp_path / "dbt")},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode != 0
    assert "No events are registered yet" in done.stdout
    assert "make run" in done.stdout


@pytest.mark.parametrize("command", ["run", "build", "train", "score", "sql", "serve", "report"])
def test_every_command_has_help(command):
    done = call(command, "--help")
    assert done.returncode == 0
    assert done.stdout.startswith("Usage: sparkify")
