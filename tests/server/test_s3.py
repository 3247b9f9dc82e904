"""Tables on S3: those of a local home, behind keys that nothing tells."""

import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import psutil
import pytest
from pyhive.exc import OperationalError

from sparkify import transform
from sparkify.delta import S3
from sparkify.errors import BadInput
from sparkify.settings import PROJECT, Settings
from tests.server.serving import BIN, free_ports, jars_with, running_under, serving
from tests.sparkify.tables import fingerprint

pytestmark = pytest.mark.slow
# Of the simulated log.
DAYS = 4
# What is written whole and what by days, with all that it is made from.
MARTS = ("fct_sessions", "fct_user_days", "dim_users")
SELECTION = ("--select", *(f"+{table}" for table in MARTS))
SECRET = "0nly+the/environment+has+this"
# What `sparkify build` does of these, and what it leaves.
RUN = f"""
import json, sys
from sparkify import transform
from sparkify.session import open_session
from sparkify.settings import Settings
from tests.sparkify.tables import fingerprint
settings = Settings.from_environment()
spark = open_session(settings)
for events in sys.argv[1:]:
    transform.register_events(settings, events)
transform.run_dbt(settings, "run", *{SELECTION!r})
print(json.dumps([fingerprint(spark.table(f"sparkify.{{table}}")) for table in {MARTS!r}]))
"""


@pytest.fixture(scope="module")
def jars(settings: Settings, tmp_path_factory) -> Path:
    """Those of Delta Lake and of S3."""
    try:
        return jars_with(S3, settings, tmp_path_factory.mktemp("with-s3"))
    except BadInput as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """A server that speaks as S3 does, with a bucket `lake`."""
    moto = pytest.importorskip("moto.server", reason="moto is not installed")
    boto3 = pytest.importorskip("boto3", reason="boto3 is not installed")
    (port,) = free_ports(1)
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = moto.ThreadedMotoServer("127.0.0.1", port, verbose=False)
    server.start()
    address = f"http://127.0.0.1:{port}"
    login = {"aws_access_key_id": "me", "aws_secret_access_key": SECRET}
    client = boto3.client("s3", endpoint_url=address, region_name="us-east-1", **login)
    client.create_bucket(Bucket="lake")
    yield address
    server.stop()


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("away") / "home"


@pytest.fixture(scope="module")
def environment(jars, endpoint, home) -> dict[str, str]:
    """That of commands whose tables lie on S3."""
    return os.environ | {
        "SPARKIFY_HOME": str(home),
        "SPARKIFY_JARS": str(jars),
        "SPARKIFY_WAREHOUSE": "s3a://lake/tables",
        "DBT_TARGET_PATH": str(home / "dbt"),
        "DBT_LOG_PATH": str(home / "logs"),
        "AWS_ACCESS_KEY_ID": "me",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_ENDPOINT_URL": endpoint,
    }


def call(environment: dict[str, str], *command: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        command, cwd=PROJECT, env=environment, capture_output=True, text=True, timeout=400
    )


def assert_untold(home: Path) -> None:
    """No process below this one and no file of a home tells the secret."""
    lines = [" ".join(words) for words in running_under(psutil.Process()).values()]
    assert lines and not any(SECRET in line for line in lines)
    files = [file for file in home.rglob("*") if file.is_file()]
    assert files and not [file for file in files if SECRET.encode() in file.read_bytes()]


def test_a_log_that_grows_leads_to_the_tables_of_a_local_home_also_after_a_kill(
    spark, settings, environment, home, simulated_days, tmp_path
):
    dates = sorted(simulated_days)[:DAYS]

    def write(dates: list[str]) -> None:
        for date in dates:
            (tmp_path / f"{date}.json").write_text("\n".join(simulated_days[date]) + "\n")

    write(dates[:-2])
    built = call(environment, sys.executable, "-c", RUN, str(tmp_path))
    assert built.returncode == 0, built.stderr
    write(dates)
    killed = subprocess.Popen(
        [BIN / "dbt", "--no-use-colors", "run", *SELECTION],
        cwd=PROJECT,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert any("model sparkify.int_sparkify__session_days" in line for line in killed.stdout)
    assert_untold(home)
    killed.kill()
    killed.wait()
    rest = call(environment, sys.executable, "-c", RUN)
    assert rest.returncode == 0, rest.stderr
    assert_untold(home)
    assert not (home / "warehouse").exists() and not [*home.rglob("*.parquet")]

    transform.register_events(settings, str(tmp_path))
    transform.run_dbt(settings, "run", *SELECTION, "--full-refresh")
    expected = [[*fingerprint(spark.table(f"sparkify.{table}"))] for table in MARTS]
    assert json.loads(rest.stdout.splitlines()[-1]) == expected


def test_a_server_has_its_tables_on_s3_and_tells_no_key(environment, home, monkeypatch):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with serving(home) as server:
        assert_untold(home)
        with server.connect(server.token("reader")) as connection:
            cursor = connection.cursor()
            cursor.execute("select count(*) from sparkify.fct_user_days")
            assert cursor.fetchall()[0][0] > 0
            cursor.execute("set -v")
            assert SECRET not in str(cursor.fetchall())
            for words in ("set", "set fs.s3a.secret.key"):
                with pytest.raises(OperationalError, match="only reads tables"):
                    cursor.execute(words)
        assert_untold(home)


class Denies(BaseHTTPRequestHandler):
    """What S3 answers to a key that it does not know."""

    def do_GET(self) -> None:
        self.send_response(403)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(b"<Error><Message>There is no such key.</Message></Error>")

    do_HEAD = do_GET

    def log_message(self, *_) -> None:
        pass


@pytest.fixture
def denying() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Denies) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_place_out_of_reach_is_told_in_one_line(environment, denying):
    (port,) = free_ports(1)
    for name, value, said in (
        ("SPARKIFY_WAREHOUSE", "s3a://pond/tables", "bucket does not exist"),
        ("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}", "Connection refused"),
        ("AWS_ENDPOINT_URL", denying, "There is no such key"),
    ):
        found = call(environment | {name: value, "COLUMNS": "1000"}, BIN / "sparkify", "tables")
        assert found.returncode == 3
        last = found.stderr.splitlines()[-1]
        assert "SPARKIFY_WAREHOUSE s3a://" in last and said in last and "AWS_ENDPOINT_URL" in last
        assert SECRET not in found.stdout + found.stderr and "Traceback" not in found.stderr
