"""What analysts come with: PyHive, SQLAlchemy with pandas, and Java's JDBC, as a reader."""

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

from tests.server.serving import serving

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
