"""With a SPARKIFY_USER_KEY tables know users by keyed hashes; neither ids nor key are kept."""

import hashlib
import hmac
import json
import os
import re
import subprocess
import sys
from itertools import product
from pathlib import Path

import pytest
from click.testing import CliRunner
from jinja2 import Environment

from sparkify.cli import cli
from sparkify.identity import cleaned_id, stored_id
from sparkify.settings import PROJECT

pytestmark = pytest.mark.long

KEYS = ("0123456789abcdef" * 4, "fedcba9876543210" * 4)
IDS = ("raw-id-5c1d07", "größe raw-id-5c1d07")
# The key is the environment's of the JVM, so each key has one.
PROGRAM = """
import json, sys, psutil
from sparkify import transform
from sparkify.session import open_session
from sparkify.settings import Settings
settings = Settings.from_environment(overrides={"max_rejected_share": 1})
settings.check()
spark = open_session(settings)
transform.register_events(settings, sys.argv[1])
transform.run_dbt(settings, "run", "--select", "+base_sparkify__rows")
rows = spark.table("sparkify.base_sparkify__rows").orderBy("session_id", "raw_row").collect()
shown = [row.asDict() for row in rows]
words = [word for each in psutil.process_iter(["cmdline"]) for word in each.info["cmdline"] or []]
print(json.dumps([shown, words], default=str))
"""


def built(home: Path, log: Path, key: str) -> tuple[list[dict], list[str]]:
    """The rows of a log as staging has them under a key, and all command lines meanwhile."""
    own = {"SPARKIFY_HOME": str(home), "SPARKIFY_USER_KEY": key, "SPARKIFY_CODEGEN": "NO_CODEGEN"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(log)],
        env={**os.environ, **own, "DBT_TARGET_PATH": str(home / "dbt")}
        | {"DBT_LOG_PATH": str(home / "logs")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return tuple(json.loads(done.stdout.splitlines()[-1]))


def hmac_of(key: str, user: str) -> str:
    return hmac.new(key.encode(), user.encode(), hashlib.sha256).hexdigest()[:32]


def test_ids_are_hashes_under_the_key_and_another_key_makes_the_tables_anew(tmp_path):
    event = {"ts": 1538352117000, "sessionId": 1, "page": "Home", "auth": "Logged In"}
    events = [event | {"sessionId": n, "userId": user} for n, user in enumerate(IDS)]
    late = [event | {"sessionId": 7, "userId": IDS[0], "ts": "soon"}]
    lines = [json.dumps(each, ensure_ascii=False) for each in events + late]
    (tmp_path / "log.json").write_text("\n".join([*lines, lines[0][:-1]]))
    home = tmp_path / "home"
    for key in KEYS:
        rows, words = built(home, tmp_path / "log.json", key)
        accepted = [row["user_id"] for row in rows if row["rejection_reason"] is None]
        assert sorted(accepted) == sorted(hmac_of(key, user) for user in IDS)
        raw = {row["rejection_reason"]: row["raw_row"] for row in rows if row["raw_row"]}
        assert json.loads(raw["invalid_ts"])["userId"] == hmac_of(key, IDS[0])
        assert raw["malformed_json"].endswith('"userId…')
        assert not any(key in word for word in words)
        for file in home.rglob("*"):
            content = file.read_bytes() if file.is_file() else b""
            assert key.encode() not in content, file
            assert IDS[0].encode() not in content, file


def test_a_key_that_cannot_be_is_refused_without_being_told(monkeypatch):
    for key in ("short-secret", "G" * 64, "A" * 64):
        monkeypatch.setenv("SPARKIFY_USER_KEY", key)
        done = CliRunner().invoke(cli, ["models"])
        assert done.exception.exit_code == 2 and "openssl" in str(done.exception)
        assert key not in str(done.exception)
    (made,) = re.findall("`(openssl .*?)`", str(done.exception))
    monkeypatch.setenv(
        "SPARKIFY_USER_KEY", subprocess.check_output(made.split(), text=True).strip()
    )
    assert "SPARKIFY_USER_KEY" not in str(CliRunner().invoke(cli, ["models"]).exception)


@pytest.mark.parametrize("user", ["36", "größe", ""])
def test_without_a_key_ids_are_those_of_the_log(monkeypatch, user):
    monkeypatch.delenv("SPARKIFY_USER_KEY", raising=False)
    assert stored_id(user) == user
    monkeypatch.setenv("SPARKIFY_USER_KEY", KEYS[0])
    assert stored_id(user) == hmac_of(KEYS[0], user)


@pytest.mark.parametrize(
    ("given", "read"),
    [
        *(("36.0", "36"), (" 36\t", "36"), ("36.", "36"), ("1.01E2", "101"), ("+36.0", "36")),
        *((id, id) for id in ("36", "+36", "+4930123", "0036", "v1.0", "1.5", "5e3", "1.0e30")),
        *((id, id) for id in ("größe", "a b", "")),
    ],
)
def test_an_id_that_is_given_is_read_as_one_of_the_log(given, read):
    assert cleaned_id(given) == read


def test_a_command_and_staging_read_every_id_alike(spark):
    digits = ("5", "-5", "+5", "007", "49" * 5, "9" * 20, "1" + "0" * 20, "12345678901234567890")
    ends = ("", ".", ".0", ".5", ".00000000000000000049", ".99999999999999999999", "e0", "e+2")
    ends += ("e-1", "E2", ".0e2", ".0E+2", ".0e-2", ".5e1", ".0e99", ".0e-99", ".0.0", "e+100")
    ids = [number + end for number, end in product(digits, ends)]
    ids += ["", "+", ".", "+.0", ".0", "1.0f", "٣.0", "NaN.0", "0x1.0", "1 .0", "+1-1", "1_0.0"]
    macro = (PROJECT / "macros" / "whole_number.sql").read_text()
    rule = Environment().from_string(macro).module.whole_number("id")
    rows = spark.createDataFrame([(id,) for id in ids], "id string")
    assert [row[0] for row in rows.selectExpr(rule).collect()] == [cleaned_id(id) for id in ids]
