"""Failures that a user meets: one line with the cause and the remedy, and an exit code."""

import json
import os
import re
import shlex
import shutil
import socket
import sqlite3
import stat
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path
from unittest.mock import patch

import click
import psutil
import pytest
from click.testing import CliRunner, Result
from grpc import StatusCode
from pyspark.errors.exceptions.connect import SparkConnectGrpcException

from ml.errors import NotTrainable
from ml.tuning import LEARNERS
from sparkify import cli, lock, remote
from sparkify.errors import SERVER_GONE, BadInput, CheckFailed, SparkifyError
from sparkify.failures import exit_code, in_words
from sparkify.registered import registry
from sparkify.remote import CONNECT_TOKEN, listeners, show_token
from sparkify.session import TOKEN, child_environment, is_there
from sparkify.settings import PROJECT, Settings, private_scratch
from sparkify.simulator.worlds import WORLDS
from sparkify.transform import broken_off
from tests.sparkify.pages import PAGES

SPARKIFY = str(Path(sys.executable).parent / "sparkify")


def call(*arguments: str, **environment: str) -> subprocess.CompletedProcess:
    # The suite's own choice of a target would hide what happens without one.
    inherited = {name: value for name, value in os.environ.items() if name != "SPARKIFY_TARGET"}
    return subprocess.run(
        [SPARKIFY, *arguments],
        env=inherited | {"PYTHONPATH": str(PROJECT)} | environment,
        capture_output=True,
        text=True,
        timeout=120,
    )


def ask(*arguments: str) -> Result:
    """Run a command that ends before it needs Spark, in this process."""
    return CliRunner().invoke(cli.cli, arguments)


class SparkStarts(Exception):
    """Spark would be started, which takes what was given for possible."""


@pytest.fixture
def no_spark(monkeypatch):
    """No session is there, and to start one fails; the environment is put back."""

    def start(*_, **__):
        raise SparkStarts

    monkeypatch.setattr("sparkify.session.open_local", start)
    monkeypatch.setattr("sparkify.commands.serve.check_machine", start)
    monkeypatch.setattr("pyspark.sql.SparkSession.getActiveSession", lambda: None)
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


def assert_one_line(done: subprocess.CompletedProcess, code: int, *words: str) -> None:
    assert done.returncode == code, done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert done.stderr.startswith("error: ")
    for word in words:
        assert word in done.stderr


def assert_refused(done: Result, code: int, *words: str) -> None:
    assert done.exception.exit_code == code
    for word in words:
        assert word in str(done.exception)


def test_a_path_that_does_not_exist_is_named(tmp_path):
    done = call("build", "--events", str(tmp_path / "none"), SPARKIFY_HOME=str(tmp_path))
    assert_one_line(done, 3, str(tmp_path / "none"))


def test_an_empty_folder_is_named(tmp_path):
    (tmp_path / "empty").mkdir()
    assert_refused(ask("run", "--events", str(tmp_path / "empty")), 3, "holds no files")


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


def test_a_java_that_cannot_be_run_is_none(tmp_path):
    java = tmp_path / "bin" / "java"
    java.parent.mkdir()
    java.write_text("")
    done = call("sql", "select 1", JAVA_HOME=str(tmp_path), SPARKIFY_HOME=str(tmp_path))
    assert_one_line(done, 3, "Java was not found")


@pytest.mark.long
def test_missing_jars_lead_to_set_up_or_parquet(tmp_path):
    environment = {"SPARKIFY_JARS": str(tmp_path), "SPARKIFY_HOME": str(tmp_path)}
    chosen = call("--target", "local", "sql", "select 1", **environment)
    assert_one_line(chosen, 3, "`sparkify setup`", "SPARKIFY_TARGET=parquet")
    fallen_back = call("sql", "select 1 as one", "--format", "csv", **environment)
    assert fallen_back.stdout == "one\n1\n"
    assert "not replaced atomically" in fallen_back.stderr


def test_a_second_process_on_the_metastore_learns_of_the_server(spark, settings):
    spark.sql("show databases").collect()
    done = call("sql", "select 1", SPARKIFY_HOME=str(settings.home))
    assert_one_line(done, 2, "sparkify serve", "SPARKIFY_TARGET=thrift")


def test_training_on_a_table_needs_its_columns_named(tmp_path):
    assert_refused(ask("train", "--parquet", str(tmp_path)), 2, "--id", "--label")


def test_an_unknown_target_lists_the_known_ones(tmp_path):
    done = call("--target", "moon", "sql", "select 1", SPARKIFY_HOME=str(tmp_path))
    assert_one_line(done, 2, "local, parquet, thrift")


@pytest.mark.long
def test_dbt_without_events_says_how_to_get_some(tmp_path):
    done = subprocess.run(
        [str(Path(sys.executable).parent / "dbt"), "run"],
        cwd=PROJECT,
        env=os.environ | {"SPARKIFY_HOME": str(tmp_path), "DBT_TARGET_PATH": str(tmp_path / "dbt")},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode != 0
    assert "No events are registered yet" in done.stdout
    assert "make run" in done.stdout


def test_a_fault_of_ours_is_one_line_that_names_what_shows_where_it_came_from(monkeypatch, capsys):
    monkeypatch.setattr(Settings, "check", lambda _: {}["no setting"])
    monkeypatch.setattr(sys, "argv", ["sparkify", "models"])
    assert cli.run_command() == 1
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1
    (shown,) = re.findall(r"\((sparkify .*?) shows where", said)
    monkeypatch.setattr(sys, "argv", [*shown.split(), "models"])
    assert cli.run_command() == 1
    said = capsys.readouterr().err
    assert "Traceback" in said and "test_command.py" in said and "KeyError: 'no setting'" in said


def test_make_names_the_python_that_it_takes(tmp_path):
    """The one that is too old, and the one that the line names, up to the environment it makes."""
    shutil.copy(PROJECT / "Makefile", tmp_path)
    for name in ("requirements.txt", "pyproject.toml"):
        (tmp_path / name).touch()
    found = ("exit 1", 'test "$1" = -c && exit 0; echo "$@" >&2; exit 9')
    for name, lines in zip(("python3", "python3.11"), found, strict=True):
        (tmp_path / name).write_text(f"#!/bin/sh\n{lines}\n")
        (tmp_path / name).chmod(0o755)
    environment = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}

    def make(*words: str) -> str:
        done = subprocess.run(
            ["make", *words], cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        assert done.returncode != 0
        return done.stderr

    (named,) = re.findall(r"name one that is: make (.*)", make("run"))
    assert "-m venv .venv" in make(*named.split())


@pytest.mark.parametrize("command", sorted(cli.cli.commands))
def test_every_command_has_help_with_an_example_that_is_one(command):
    done = ask(command, "-h")
    assert done.exit_code == 0
    assert done.output.startswith("Usage: ")
    example = shlex.split(done.output.split("Example: ")[1])
    assert example[:2] == ["sparkify", command]
    context = click.Context(cli.cli)
    cli.cli.commands[command].make_context(command, example[2:], parent=context)


def test_help_lists_the_commands_in_the_order_of_use_and_the_learners():
    listed = re.findall(r"^  ([a-z]+)  ", ask("-h").output.split("Commands:")[1], re.M)
    assert listed == list(cli.cli.commands)
    assert listed[:3] == ["run", "build", "status"] and listed[-1] == "setup"
    assert "..." not in ask("-h").output.split("Commands:")[1]
    shown = " ".join(ask("train", "-h").output.split())
    assert [name for name in LEARNERS if name not in shown] == []


@pytest.mark.parametrize(
    "arguments",
    [
        *(
            f"{command} --users {n}"
            for command in ("run", "simulate --out x")
            for n in (0, -1, "x")
        ),
        *("run --user-share nan", "build --events . --user-share 0"),
        *("run --seed -1", "train --seed -1", "train --origins 0", "train --horizon-days 0"),
        *("train --models nobody", "serve --thrift-port 99999", "serve --connect-port 0"),
        *("targets --top 0", "maintain --keep-days -1", "sql --format xml x"),
        *(
            "maintain --keep-days 99999999",
            "train --horizon-days 99999999",
            f"train --seed {2**40}",
        ),
        *("train --feature-version -1", "train --exposure x --min-exposure -1"),
        "train --horizon-days 7",
        *("train --name a/b", "models --name a:b", "score --table t --id i --out o --name a/b"),
        """models --name "bob's\"""",
        *("simulate --out x --world moon", "--target moon models"),
        "serve --thrift-port 10001 --connect-port 10001",
        # What an unset variable of a shell leaves.
        *("run --events ''", "build --events ' '", "explain --user ''", "sql ''", "tables ''"),
        *("train --table '' --id a --label b", "models --name ''", "--target '' status"),
    ],
)
def test_what_can_be_known_to_be_wrong_is_refused_before_spark_starts(no_spark, arguments):
    refused = ask(*shlex.split(arguments))
    code = refused.exit_code if refused.exit_code == 2 else refused.exception.exit_code
    assert code == 2


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SPARKIFY_DRIVER_MEMORY", "lots"),
        ("SPARKIFY_SHUFFLE_PARTITIONS", "0"),
        ("SPARKIFY_CODEGEN", "maybe"),
        ("SPARKIFY_LOG_LEVEL", "LOUD"),
        ("SPARKIFY_SERVER_START_S", "soon"),
        ("SPARKIFY_HOME", "s3a://bucket/home"),
        ("SPARKIFY_HOME", 'my "home"'),
        ("SPARKIFY_HOME", __file__),
        ("SPARKIFY_TARGET", "moon"),
    ],
)
def test_a_setting_that_cannot_work_is_refused_before_spark_starts(
    no_spark, monkeypatch, name, value
):
    monkeypatch.setenv(name, value)
    assert_refused(ask("sql", "select 1"), 2, "target" if name == "SPARKIFY_TARGET" else name)


@pytest.mark.long
@pytest.mark.parametrize(
    ("command", "name", "value", "reason"),
    [
        ("sql 1", "SPARKIFY_DRIVER_MEMORY", "900t", "memory|heap"),
        ("sql 1", "SPARKIFY_DRIVER_HOST", "nowhere.invalid", "UnresolvedAddress"),
        ("sql 1", "SPARK_MASTER", "spark://127.0.0.1:1", "no Spark master answers at spark://127"),
        ("sql 1", "SPARK_MASTER", "nonsense", "Master must either be yarn or start with"),
        ("serve --open", "SPARKIFY_DRIVER_MEMORY", "900t", "memory|heap"),
    ],
)
def test_spark_that_cannot_start_is_told_in_a_line(tmp_path, command, name, value, reason):
    done = call(*command.split(), SPARKIFY_HOME=str(tmp_path), **{name: value})
    assert_one_line(done, 3, "SPARK")
    assert re.search(reason, done.stderr)


@pytest.mark.parametrize(
    "master", ["spark://here:x", "spark://", "spark://[::1", "spark://a:99999"]
)
def test_an_address_of_no_master_is_told(master):
    assert not is_there(master)


@pytest.mark.parametrize(
    ("given", "shown", "is_handed_out"),
    [
        ("sc://127.0.0.1:15002", "sc://localhost:15002", True),
        ("sc://127.0.0.10:15002", "sc://127.0.0.10:15002", False),
        ("sc://spark.example:443", "sc://spark.example:443", False),
        ("sc://localhost:1/;token=x", "sc://localhost:1/;token=x", False),
        ("sc://[::1", "sc://[::1", False),
    ],
)
def test_only_a_server_of_this_machine_is_shown_the_token(
    tmp_path, monkeypatch, given, shown, is_handed_out
):
    (tmp_path / "tokens").mkdir()
    (tmp_path / "tokens" / "writer").write_text("secret")
    environment = {name: value for name, value in os.environ.items() if name != CONNECT_TOKEN}
    monkeypatch.setattr(os, "environ", environment | {"SPARK_REMOTE": given})
    show_token(Settings(home=tmp_path, jars=tmp_path, target="local"))
    assert os.environ["SPARK_REMOTE"] == shown
    assert (os.environ.get(CONNECT_TOKEN) == "secret") == is_handed_out


def test_a_program_of_another_user_is_shown_no_token(tmp_path, monkeypatch):
    """Be it at an address of this machine at which the server does not listen."""
    (tmp_path / "tokens").mkdir()
    (tmp_path / "tokens" / "writer").write_text("secret")
    home = Settings(home=tmp_path, jars=tmp_path, target="local")
    monkeypatch.delenv(CONNECT_TOKEN, raising=False)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        monkeypatch.setenv("SPARK_REMOTE", f"sc://127.0.0.1:{port}")
        assert listeners(str(port)) == {os.getuid()}
        monkeypatch.setattr(os, "getuid", lambda: 12345)
        with pytest.raises(BadInput, match=f"at port {port} a program of another") as told:
            show_token(home)
    assert f"`sparkify serve --connect-port {port + 1}`" in str(told.value)
    assert str(told.value).endswith(f"set SPARK_REMOTE=sc://localhost:{port + 1}")
    assert CONNECT_TOKEN not in os.environ


def test_a_token_is_shown_without_the_line_end_of_its_file(tmp_path, monkeypatch):
    monkeypatch.setenv("SPARK_REMOTE", "sc://localhost:15002")
    monkeypatch.setenv(CONNECT_TOKEN, "secret\n")
    show_token(Settings(home=tmp_path, jars=tmp_path, target="local"))
    assert os.environ[CONNECT_TOKEN] == "secret"


def test_a_home_that_cannot_be_written_is_told_in_a_line():
    assert_one_line(call("tables", SPARKIFY_HOME="/proc/none"), 3, "another folder", "/proc/none")


@pytest.mark.parametrize(
    "error",
    [
        OSError(28, "No space left on device", "/home/a.parquet"),
        SparkifyError("dbt could not finish: dim_users: No space left on device"),
    ],
)
def test_a_full_disk_is_told_with_what_to_do(error):
    assert exit_code(error) == 3
    assert "the disk is full: free some space" in in_words(error)


@pytest.mark.parametrize(
    ("error", "is_told"),
    [
        (SparkifyError("java.lang.RuntimeException: Unable to instantiate a client"), True),
        (OSError(5, "Input/output error"), True),
        (NotTrainable("there is nothing to learn"), False),
    ],
)
def test_java_that_does_not_say_why_is_asked_of_the_disk(monkeypatch, error, is_told):
    monkeypatch.setattr("sparkify.settings.FULL_BYTES", 2**60)
    assert ("the disk is full" in in_words(error)) is is_told
    monkeypatch.setattr("sparkify.settings.FULL_BYTES", 0)
    assert "the disk is full" not in in_words(error)


def test_a_log_on_a_full_disk_is_no_page_of_errors():
    script = (
        "import logging; from sparkify import cli; "
        "logging.getLogger().addHandler(logging.FileHandler('/dev/full')); "
        "cli.run_command = lambda: logging.error('lost') or 3; cli.main()"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (3, "", "")


def test_an_impossible_thrift_port_is_no_server_to_start(no_spark, monkeypatch):
    monkeypatch.setenv("SPARKIFY_THRIFT_PORT", "99999")
    monkeypatch.delenv("SPARK_REMOTE", raising=False)
    assert_refused(ask("--target", "thrift", "status"), 2, "a port from 1 to 65535")


def test_settings_that_cannot_be_read_end_in_one_line():
    assert_one_line(call("models", SPARKIFY_SCHEMA="bad-name"), 2, "SPARKIFY_SCHEMA is 'bad-name'")


@pytest.mark.parametrize(
    "arguments",
    [
        ("build", "--events", "a", "--events", "b"),
        ("--vars", "{horizon_days: 0}", "--vars", "{active_days: 20}", "status"),
        ("targets", "--top", "1", "--csv=a.csv", "--csv", "b.csv"),
    ],
)
def test_an_option_that_is_given_twice_is_refused(no_spark, arguments):
    refused = ask(*arguments)
    assert refused.exit_code == 2 and "it is given twice" in refused.output
    assert ask("build", "-h").exit_code == 0


def test_what_spark_sorts_is_read_by_its_owner_alone(tmp_path, monkeypatch):
    name = f"sparkify-{os.getuid()}"
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / name).symlink_to(tmp_path)  # somebody else's
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / name).touch()
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / name).symlink_to(tmp_path / "nowhere")
    given = [f"{tmp_path}/{each}" for each in "abcd"]
    monkeypatch.setenv("SPARK_LOCAL_DIRS", ",".join(given))
    first, *others = private_scratch().split(",")
    assert first == f"{tmp_path}/a/{name}"
    for folder, place in zip(others, given[1:], strict=True):
        assert folder.startswith(f"{place}/{name}-")
    for folder in (first, *others):
        assert stat.S_IMODE(os.stat(folder).st_mode) == 0o700
    monkeypatch.setenv("SPARK_LOCAL_DIRS", first)
    assert private_scratch() == first
    monkeypatch.delenv("SPARK_LOCAL_DIRS")
    assert private_scratch() == f"{tempfile.gettempdir()}/{name}"


@pytest.mark.parametrize(
    "said",
    [
        "Cannot call methods on a stopped SparkContext.",
        "SparkContext has been shutdown",
        "Job 7 cancelled because SparkContext was shut down",
    ],
)
def test_a_server_that_is_about_to_end_has_ended(said, monkeypatch):
    error = RuntimeError(f"(java.lang.IllegalStateException) {said}")
    assert exit_code(error) == 1  # in this process it is a fault of ours
    monkeypatch.setenv("SPARK_REMOTE", "sc://localhost:15002")
    assert exit_code(error) == BadInput.exit_code
    assert in_words(error) == str(broken_off(str(error))) == SERVER_GONE


def test_java_leaves_its_temporary_files_where_nobody_else_reads(spark):
    # Among them the models of Spark Connect, in a folder that one user made for all.
    folder = spark._jvm.java.lang.System.getProperty("java.io.tmpdir")
    assert folder == os.environ["SPARK_LOCAL_DIRS"]
    assert stat.S_IMODE(os.stat(folder).st_mode) == 0o700


def test_a_run_waits_for_that_of_another_as_long_as_it_is_told(settings, monkeypatch):
    asked = []

    def run_dbt(settings, *arguments):
        asked.append(arguments[1])
        if len(asked) < 3:
            raise BadInput("another run is under way on this server since noon")

    monkeypatch.setattr(lock, "is_shared", lambda settings: True)
    monkeypatch.setattr(lock, "PAUSE_S", 0)
    monkeypatch.setattr(lock.transform, "run_dbt", run_dbt)
    with lock.run_held(settings, patience_s=60):
        assert asked == ["begin_run"] * 3
    assert asked[-1] == "end_run"
    asked.clear()
    with pytest.raises(BadInput, match="under way"), lock.run_held(settings):
        raise AssertionError("it is held")
    assert asked == ["begin_run"]


def test_lists_may_be_empty(no_spark):
    with pytest.raises(SparkStarts):
        raise ask("train", "--exclude", "", "--allow", "", "--models", "").exception


def test_a_query_that_begins_with_a_comment_is_no_option(no_spark):
    with pytest.raises(SparkStarts):
        raise ask("sql", "-- One row per user = a query\nselect 1", "--format", "csv").exception


def test_the_worlds_are_those_that_the_simulator_has():
    world = next(each for each in cli.simulate.params if each.name == "world")
    assert list(world.type.choices) == list(WORLDS)


def test_a_column_that_a_csv_file_has_not_is_refused_before_spark_starts(no_spark, tmp_path):
    (tmp_path / "a.csv").write_text("customer,left,visits\na,yes,1\n")
    train = ["train", "--table", str(tmp_path / "a.csv"), "--id", "customer", "--label"]
    assert "no column `gone`" in str(ask(*train, "gone").exception)
    assert "must be different" in str(ask(*train, "customer").exception)
    assert "no column `month`" in str(ask(*train, "left", "--time", "month").exception)
    with pytest.raises(SparkStarts):
        raise ask(*train, "left").exception
    score = ["score", "--table", str(tmp_path / "a.csv"), "--out", str(tmp_path / "out.csv")]
    refused = ask(*score, "--id", "user").exception
    assert "no column `user`" in str(refused) and exit_code(refused) == 3


def test_a_table_is_not_scored_by_a_model_that_there_is_not(no_spark, monkeypatch, tmp_path):
    monkeypatch.setenv("SPARKIFY_HOME", str(tmp_path))
    (tmp_path / "new.csv").write_text("customer,visits\na,1\n")
    arguments = ["--table", str(tmp_path / "new.csv"), "--id", "customer"]
    refused = ask("score", *arguments, "--out", str(tmp_path / "scores.csv"))
    remedy = "run `sparkify train --parquet PATH --id COLUMN --label COLUMN`"
    assert remedy in str(refused.exception) and exit_code(refused.exception) == 3


def test_what_an_encoding_has_no_letter_for_is_shown_as_an_escape():
    done = call("tables", "dim_users", PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
    program = "from sparkify import cli; cli.cli.main = lambda **_: cli.emit('✓ ü\\n'); cli.main()"
    shown = subprocess.run(
        [sys.executable, "-c", program],
        cwd=PROJECT,
        env=os.environ | {"PYTHONIOENCODING": "latin-1"},
        capture_output=True,
    )
    assert (shown.stdout, shown.stderr) == (b"\\u2713 \xfc\n", b"")


def test_who_reads_no_further_is_no_fault_of_the_program():
    shown = subprocess.Popen(
        [SPARKIFY, "tables", "dim_users"],
        env=os.environ | {"PYTHONPATH": str(PROJECT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    shown.stdout.close()
    assert (shown.stderr.read(), shown.wait()) == (b"", 141)


def test_who_has_closed_the_streams_gets_the_exit_code():
    for streams, wrong in ((">&-", 0), ("2>&-", 0), (">&- 2>&-", 2)):
        words = "tables dim_users" if not wrong else "tables nothing"
        shown = subprocess.run(
            f"{shlex.quote(SPARKIFY)} {words} {streams}",
            shell=True,
            env=os.environ | {"PYTHONPATH": str(PROJECT)},
            capture_output=True,
        )
        assert (shown.returncode, shown.stderr) == (wrong, b"")


def test_the_summary_is_json_whatever_it_holds(capsys):
    cli.emit_json({"auc": float("nan"), "rows": 3, "why": ["ü"], "none": None})
    assert json.loads(capsys.readouterr().out) == {
        "auc": None,
        "rows": 3,
        "why": ["ü"],
        "none": None,
    }


def test_wrong_use_says_how_to_use_it_and_shows_what_a_terminal_would_act_on():
    done = call("sql", "select 1", "--format", "\x1b[31m\x07")
    assert done.returncode == 2
    assert "Usage: sparkify sql" in done.stderr and r"\x1b[31m" in done.stderr
    assert "\x1b" not in done.stderr and "\x07" not in done.stderr


def test_a_command_is_known_before_spark_is_imported():
    # The time until then is the time in which Ctrl-C would end in a traceback.
    known = "import sys, sparkify.cli; sys.exit('pyspark' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", known], cwd=PROJECT).returncode == 0


@pytest.mark.parametrize("target", ["local", "thrift"])
def test_a_client_without_a_server_learns_how_to_start_one(tmp_path, target):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    places = {"SPARK_REMOTE": f"sc://127.0.0.1:{port}", "SPARKIFY_THRIFT_PORT": str(port)}
    done = call("--target", target, "sql", "select 1", SPARKIFY_HOME=str(tmp_path), **places)
    option = "--thrift-port" if target == "thrift" else "--connect-port"
    assert_one_line(done, 3, f"`sparkify serve {option} {port}`")


def test_an_address_that_is_none_is_told_without_its_token(no_spark, monkeypatch):
    monkeypatch.setenv("SPARK_REMOTE", "sc://localhost:15002;token=hidden")
    refused = ask("sql", "select 1").exception
    assert refused.exit_code == 2 and "SPARK_REMOTE" in str(refused)
    assert "hidden" not in str(refused)


@pytest.mark.long
def test_a_client_of_something_else_ends_too(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"sc://127.0.0.1:{silent.getsockname()[1]}"
        done = call("sql", "select 1", SPARKIFY_HOME=str(tmp_path), SPARK_REMOTE=url)
    assert_one_line(done, 3, "something listens there", "`sparkify serve --connect-port PORT`")


def test_a_thrift_client_of_something_else_ends_too(no_spark, monkeypatch):
    monkeypatch.setattr(remote, "LOGIN_S", 0.2)
    monkeypatch.delenv("SPARK_REMOTE", raising=False)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("SPARKIFY_THRIFT_PORT", str(silent.getsockname()[1]))
        said = ("something listens there", "`sparkify serve --thrift-port PORT`, and name it in")
        assert_refused(ask("--target", "thrift", "status"), 3, *said)


def test_every_message_and_page_names_commands_and_options_that_there_are():
    modules = [file for folder in ("sparkify", "ml") for file in (PROJECT / folder).rglob("*.py")]
    macros = (PROJECT / "macros").rglob("*.sql")
    named = [
        (path, words)
        for path in sorted([*modules, *macros, *PAGES])
        for words in re.findall(r"`sparkify ((?!-h`)[a-z-][^`]*)`", path.read_text())
    ]
    assert len(named) >= 30
    for path, words in named:
        command = cli.cli
        for word in re.sub(r"\{.*?\}", "", words).split():
            if isinstance(command, click.Group) and word in command.commands:
                command = command.commands[word]
            elif word.startswith("--"):
                options = [option for each in command.params for option in each.opts]
                assert word in options, (path, words)
        assert command is not cli.cli, (path, words)


@pytest.mark.parametrize(
    ("message", "target", "shown"),
    [
        ("run `sparkify train`", None, "run `sparkify train`"),
        ("run `sparkify train`", "parquet", "run `sparkify --target parquet train`"),
        ("run `sparkify serve`", "thrift", "run `sparkify serve`"),
    ],
)
def test_a_command_in_a_message_is_for_the_target_in_use(monkeypatch, message, target, shown):
    monkeypatch.delenv("SPARKIFY_TARGET", raising=False)
    given = ["--target", target] if target else []
    assert in_words(BadInput(message), **cli.given_options([*given, "models"])) == shown


@pytest.mark.long
def test_a_home_without_anything_says_what_to_run_first(tmp_path):
    empty = {"SPARKIFY_HOME": str(tmp_path), "SPARKIFY_TARGET": "parquet"}
    done = call("checks", **empty)
    assert_one_line(done, 3, "`sparkify --target parquet build --events PATH`")
    done = call("models", "--name", "my model", **empty)
    assert_one_line(done, 3, "build --events PATH`", "train --name 'my model'`")


def test_a_client_ends_after_an_error_as_after_an_answer(spark):
    given = child_environment(spark, Settings.from_environment())
    remote = {name: value for name, value in given.items() if "SPARK" in name}
    assert_one_line(call("sql", "select nope", **remote), 2, "nope")
    done = call("sql", "select 1 as one", "--format", "csv", **remote)
    assert (done.returncode, done.stdout, done.stderr) == (0, "one\n1\n", "")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_commands_and_options_are_completed(shell):
    """By what the README has a shell evaluate, and asks then."""
    source = call(_SPARKIFY_COMPLETE=f"{shell}_source").stdout
    assert f"_SPARKIFY_COMPLETE={shell}_complete" in source
    for words, expected in (("sparkify tra", "train"), ("sparkify build --eve", "--events")):
        asked = {"COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
        if shell == "fish":
            asked["COMP_CWORD"] = words.split()[-1]
        found = call(_SPARKIFY_COMPLETE=f"{shell}_complete", **asked).stdout
        assert expected in re.split(r"[\s,]", found), found


def test_a_failed_check_names_the_logs_and_wrong_use_does_not(settings):
    assert str(settings.logs) in in_words(CheckFailed("no"))
    assert "logs" not in in_words(BadInput("no"))


def test_a_lost_server_is_bad_input_that_names_the_server():
    lost = SparkConnectGrpcException("gone", grpc_status_code=StatusCode.UNAVAILABLE)
    assert exit_code(lost) == 3 and "`sparkify serve`" in in_words(lost)
    refused = SparkConnectGrpcException("no", grpc_status_code=StatusCode.INTERNAL)
    assert exit_code(refused) == exit_code(ValueError("a column")) == 1


def test_the_token_of_a_session_stands_in_no_command_line_and_no_setting(spark):
    java = [each for each in psutil.process_iter(["name"]) if "java" in each.info["name"]]
    assert java and not any(TOKEN in word for each in java for word in each.cmdline())
    assert not any(TOKEN in value for _, value in spark.sparkContext.getConf().getAll())
    assert TOKEN not in os.environ.values()
    given = child_environment(spark, Settings.from_environment())
    assert TOKEN in given.values()


def test_what_a_command_starts_has_its_vars(spark, monkeypatch):
    overrides = {"currency": "EUR", "customer_value": {"paid": 90, "free": 19}}
    given = child_environment(spark, Settings.from_environment(overrides=overrides))
    with patch.dict(os.environ, given, clear=True):
        offer = Settings.from_environment().offer
    assert (offer.currency, offer.customer_value, offer.free_value) == ("EUR", 90, 19)
    assert not Settings.from_environment().overrides


def test_an_empty_setting_of_a_folder_counts_as_unset_and_a_new_home_is_its_owners(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("SPARKIFY_HOME", "")
    monkeypatch.setenv("SPARKIFY_JARS", " ")
    found = Settings.from_environment()
    assert found.home == PROJECT / ".sparkify" and found.jars.name == "jars"
    monkeypatch.setenv("SPARKIFY_HOME", str(tmp_path / "a" / "home"))
    with patch.dict(os.environ):
        Settings.from_environment().export()
    assert (tmp_path / "a" / "home").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("words", ["models promote 7", "models card 7"])
def test_a_version_that_is_not_listed_is_refused_without_mlflow(
    no_spark, monkeypatch, tmp_path, words
):
    monkeypatch.setenv("SPARKIFY_HOME", str(tmp_path))
    monkeypatch.setitem(sys.modules, "mlflow", None)
    (tmp_path / "mlflow").mkdir()
    with closing(sqlite3.connect(tmp_path / "mlflow" / "mlflow.db")) as store:
        store.execute("create table model_versions (name text, version int)")
        rows = [("sparkify-churn", 2), ("sparkify-churn", 1), ("other", 7)]
        store.executemany("insert into model_versions values (?, ?)", rows)
        store.commit()
    assert_refused(ask(*words.split()), 2, "has no version 7; it has 1, 2.")


def test_without_a_model_every_command_that_reads_one_says_how_to_train(
    no_spark, monkeypatch, tmp_path
):
    home = tmp_path / "home"
    monkeypatch.setenv("SPARKIFY_HOME", str(home))
    reading = ("models", "models card", "models promote 1", "models rollback", "explain --user 5")
    reading += ("score",)
    for words in reading:
        refused = ask(*words.split()).exception
        assert "then `sparkify train`" in str(refused) and exit_code(refused) == 3, words
    # To look makes nothing; what makes a store makes it for its owner alone.
    assert not home.exists()
    registry(Settings.from_environment(), "other")
    assert home.stat().st_mode & 0o777 == 0o700
