"""What clients come with: PyHive, SQLAlchemy with pandas, Java's JDBC; and what a network hears."""

import datetime as dt
import os
import shutil
import subprocess
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pyspark
import pytest
from sqlalchemy import Boolean, Integer, create_engine, inspect

from sparkify.remote import CONNECT_TOKEN, THRIFT_TOKEN
from tests.server.between import ELSEWHERE, certificate_for, in_front_of
from tests.server.serving import BIN, Server, serving

SPARK = Path(pyspark.__file__).parent / "jars"
# The driver of Spark Connect lies in a folder of its own, and reaches into Java's own classes.
JARS = f"{SPARK}/connect-repl/*:{SPARK}/*"
OPENED = [f"--add-opens=java.base/{each}=ALL-UNNAMED" for each in ("java.nio", "sun.util.calendar")]
TABLE = """
    create table shop.kinds using delta as
    select
        'ü “a”' as text, cast(3 as int) as whole, cast(4 as bigint) as large,
        cast(0.5 as double) as share, cast(1.10 as decimal(9, 2)) as money, true as flag,
        date'2018-10-01' as day, timestamp'2018-10-01 08:30:00.25' as moment,
        array('x', 'y') as list, hll_sketch_agg(id) as sketch, cast(null as int) as nothing
    from range(100)
"""
QUERY = (
    "select text, whole, large, share, money, flag, day, moment, list, "
    "hll_sketch_estimate(sketch) as distinct_count, nothing from shop.kinds"
)
# As PyHive has it: dates and lists as text.
ROW = {
    "text": "ü “a”",
    "whole": 3,
    "large": 4,
    "share": 0.5,
    "money": Decimal("1.10"),
    "flag": True,
    "day": "2018-10-01",
    "moment": dt.datetime(2018, 10, 1, 8, 30, 0, 250_000),
    "list": '["x","y"]',
    "distinct_count": 100,
    "nothing": None,
}
PROGRAM = """
import java.sql.*;

public class Client {
    public static void main(String[] given) throws Exception {
        String url = System.getenv("URL"), token = System.getenv("TOKEN");
        try (Connection c = DriverManager.getConnection(url, "me", token);
                ResultSet row = c.createStatement().executeQuery(given[0])) {
            row.next();
            System.out.println(row.getString("text") + "|" + row.getInt("whole") + "|"
                + row.getLong("large") + "|" + row.getDouble("share") + "|"
                + row.getBigDecimal("money") + "|" + row.getBoolean("flag") + "|"
                + row.getDate("day") + "|" + row.getTimestamp("moment") + "|"
                + row.getString("list") + "|" + row.getLong("distinct_count") + "|"
                + row.getObject("nothing"));
        }
    }
}
"""
# Of gRPC: a file of the authorities to trust.
TRUSTED = "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH"
SUM = ("sql", "select 40 + 2 as n", "--format", "csv")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("home")) as server:
        with closing(server.connect(server.token("writer"))) as writer:
            for statement in ("create database shop", TABLE):
                writer.cursor().execute(statement)
        yield server


@pytest.fixture
def engine(server):
    url = f"hive://me:{server.token('reader')}@127.0.0.1:{server.thrift}/shop"
    engine = create_engine(url, connect_args={"auth": "CUSTOM"})
    yield engine
    engine.dispose()


def test_pyhive_has_every_kind_of_value(server):
    with closing(server.connect(server.token("reader"))) as reader, closing(reader.cursor()) as c:
        c.execute(QUERY)
        assert c.fetchone() == tuple(ROW.values())


def test_pandas_reads_a_query_by_sqlalchemy(engine):
    found = pd.read_sql_query(QUERY, engine, coerce_float=False)
    assert found.iloc[0].to_dict() == ROW


def test_sqlalchemy_lists_columns(engine):
    kinds = {each["name"]: each["type"] for each in inspect(engine).get_columns("kinds", "shop")}
    assert list(kinds) == [*list(ROW)[:9], "sketch", "nothing"]
    assert isinstance(kinds["whole"], Integer) and isinstance(kinds["flag"], Boolean)


@pytest.mark.skipif(not shutil.which("javac"), reason="a Java program needs a JDK: no javac")
@pytest.mark.parametrize(
    ("driver", "role", "texts"),
    [("hive", "reader", '["x","y"]'), ("connect", "writer", "ArraySeq(x, y)")],
    ids=["hive", "connect"],
)
def test_a_java_program_reads_by_jdbc(server, tmp_path, driver, role, texts):
    program = tmp_path / "Client.java"
    program.write_text(PROGRAM)
    connect = server.environment["SPARK_REMOTE"].removeprefix("sc://127.0.0.1:")
    url = {
        "hive": f"jdbc:hive2://127.0.0.1:{server.thrift}/shop",
        "connect": f"jdbc:sc://localhost:{connect}/;use_ssl=false;token={server.token(role)}",
    }[driver]
    done = subprocess.run(
        ["java", *OPENED, "-cp", JARS, program, QUERY],
        env=os.environ | {"URL": url, "TOKEN": server.token(role)},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.stdout == (
        f"ü “a”|3|4|0.5|1.10|true|2018-10-01|2018-10-01 08:30:00.25|{texts}|100|null\n"
    ), done.stderr


def ports(server: Server) -> tuple[int, int]:
    """Of Thrift and Connect."""
    return server.thrift, int(server.environment["SPARK_REMOTE"].rsplit(":")[-1])


def call(server: Server, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [BIN / arguments[0], *arguments[1:]],
        env=server.environment | environment,
        capture_output=True,
        text=True,
        timeout=120,
    )


def assert_refused(done: subprocess.CompletedProcess, *words: str) -> None:
    """In a line, as bad input."""
    *warned, line = done.stderr.splitlines()
    assert (done.returncode, done.stdout) == (3, ""), done
    assert line.startswith("error: ") and not [word for word in words if word not in line], line
    assert all("is not encrypted" in each for each in warned), warned


@pytest.mark.parametrize(
    ("name", "is_trusted"),
    [("localhost", True), ("localhost", False), ("other.example", True)],
    ids=["trusted", "untrusted", "of another name"],
)
def test_over_connect_a_client_comes_only_to_a_server_with_a_right_certificate(
    server, tmp_path, name, is_trusted
):
    certificate = certificate_for(name, tmp_path)
    trusted = {TRUSTED: str(certificate.file)} if is_trusted else {}
    with in_front_of(ports(server)[1], certificate=certificate) as front:
        url = f"sc://localhost:{front.port}/;use_ssl=true"
        done = call(server, "sparkify", *SUM, SPARK_REMOTE=url, **trusted)
    if name == "localhost" and is_trusted:
        assert (done.returncode, done.stdout.split()) == (0, ["n", "42"]), done
        assert server.token("writer").encode() in front.heard
    else:
        assert_refused(done, "certificate", TRUSTED)
        assert not front.heard


def test_over_connect_a_token_goes_elsewhere_by_tls_only(server):
    token = {CONNECT_TOKEN: server.token("writer")}
    with in_front_of(ports(server)[1], host=ELSEWHERE) as front:
        url = f"sc://{ELSEWHERE}:{front.port}"
        assert_refused(call(server, "sparkify", *SUM, SPARK_REMOTE=url), "this token")
        assert_refused(
            call(server, "sparkify", *SUM, SPARK_REMOTE=url, **token), "certificate", TRUSTED
        )
    assert front.heard and server.token("writer").encode() not in front.heard


def test_over_thrift_what_goes_elsewhere_is_said_to_be_open_and_no_token_is_found(server):
    question = ("sparkify", "--target", "thrift", *SUM)
    token = {THRIFT_TOKEN: server.token("writer")}
    with in_front_of(server.thrift, host=ELSEWHERE) as front:
        place = {"SPARKIFY_THRIFT_HOST": ELSEWHERE, "SPARKIFY_THRIFT_PORT": str(front.port)}
        assert_refused(call(server, *question, **place), "does not take this token")
        assert server.token("writer").encode() not in front.heard
        done = call(server, *question, **place, **token)
        assert (done.returncode, done.stdout.split()) == (0, ["n", "42"]), done
        (line,) = done.stderr.splitlines()
        assert f"what goes to {ELSEWHERE} over Thrift is not encrypted" in line


def test_over_thrift_there_is_no_tls(server, tmp_path):
    certificate = certificate_for("localhost", tmp_path)
    with in_front_of(server.thrift, certificate=certificate) as front:
        place = {"SPARKIFY_THRIFT_PORT": str(front.port)}
        done = call(server, "sparkify", "--target", "thrift", *SUM, **place)
    assert_refused(done, "no Spark Thrift server answers")
    assert not front.heard
