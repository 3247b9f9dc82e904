"""Who may come in to a server, and what they may do there."""

import os
import re
import socket
import stat
import struct
import subprocess
from contextlib import closing
from dataclasses import replace

import psutil
import pytest
from pyhive.exc import OperationalError
from thrift.transport.TTransport import TTransportException

from sparkify.gate import compiled_gate
from sparkify.remote import CONNECT_TOKEN, THRIFT_TOKEN
from sparkify.settings import PROJECT
from tests.server.serving import BIN, running_under, serving

JDBC = "org.apache.spark.sql.execution.datasources.v2.jdbc"
VIEWFS = "org.apache.hadoop.fs.viewfs"
PLACE = "Path = '{home}/tokens/writer', a = 1, b = 2, c = 3, d = 4"
PROGRAMS = (
    "select transform(a) using 'id' as x from d.t",
    "select reflect('java.lang.System', 'getenv', 'PATH')",
    "select try_reflect('java.lang.System', 'getenv', 'PATH')",
    "select java_method('java.lang.System', 'getenv', 'PATH')",
    "select 1 where exists (select reflect('java.lang.System', 'getenv', 'PATH'))",
    "select * from d.t where b = (select transform(a) using 'id' as x from d.t)",
    'execute immediate \'select reflect("java.lang.System", "getenv", "PATH")\'',
    "create table d.stolen as select reflect('java.lang.System', 'getenv', 'PATH') as a",
    "select d.hidden('java.lang.System', 'getenv', 'PATH')",
    # Spark works out a time before there is a plan to check.
    *(
        before + f"select * from d.t timestamp as of ({time})"
        for before in ("", "explain ", "describe query ", "create view d.u as ")
        for time in (
            "select transform(1) using 'id' as (x string)",
            "select reflect('java.lang.System', 'getenv', 'PATH')",
            "select d.hidden('java.lang.System', 'getenv', 'PATH')",
            "select max(value) from text.`/etc/passwd`",
            "identifier('reflect')('java.lang.System', 'getenv', 'PATH')",
            "d.hidden('java.lang.System', 'getenv', 'PATH')",
        )
    ),
    "select * from identifier('ex' || 'plode')(array((select max(a) from d.t timestamp as of "
    "(select transform(1) using 'id' as (x string)))))",
    "select identifier('co' || 'unt')(1) filter (where exists (select 1 from d.t timestamp as of "
    "(select transform(1) using 'id' as (x string))))",
    "select * from identifier('d.' || 't') timestamp as of (select transform(1) using 'id' as (x))",
    "begin select * from d.t timestamp as of (select transform(1) using 'id' as (x)); end",
    "from d.t timestamp as of (select transform(1) using 'id' as (x)) |> select a",
)
# By these the checks of the gate are left out, or Spark shows what it keeps back.
FIXED = (
    "spark.sql.analyzer.singlePassResolver.runExtendedResolutionChecks=false",
    "spark.sql.analyzer.singlePassResolver.enabledTentatively=true",
    "spark.sql.analyzer.singlePassResolver.enabled=true",
    "spark.sql.legacy.setCommandRejectsSparkCoreConfs=false",
    "spark.sql.redaction.options.regex=(?!)",
    "spark.sql.redaction.string.regex=(?!)",
    "spark.redaction.regex=(?!)",
)
READING = (
    "select * from d.t",
    "select * from d.v",
    "select * from d.p",
    "select * from d.p with (mergeSchema = true)",
    "select * from d.t version as of 0",
    "select a, max(b) over (partition by a) from d.t where a in (select a from d.p)",
    "with x as (select * from d.t) select * from x join x as y using (a)",
    "with recursive r(n) as (select 1 union all select n + 1 from r where n < 3) select * from r",
    "from d.t |> select a",
    "select explode(array(1, 2))",
    "select count(*) from range(10)",
    "select * from values (1), (2) as v(x)",
    "show tables in d",
    "show databases",
    "show columns in d.t",
    "describe d.t",
    "describe extended d.t",
    "describe history d.t",
    "describe detail d.t",
    "explain select * from d.t",
    "execute immediate 'select 1'",
    "select from_xml('<a><b>1</b></a>', 'b int')",
    "set spark.sql.session.timeZone = UTC",
    "select * from d.lines",
    "select * from d.days",
    "select * from d.csv",
    "select * from d.csv with (mergeSchema = true)",
    "select * from d.away",
    "describe detail d.away",
    "select schemaname from d.jdbc",
    "set spark.sql.shuffle.partitions = 3",
    "set spark.sql.ansi.enabled = true",
    "set spark.sql.execution.arrow.maxRecordsPerBatch = 10",
    "set spark.sql.thriftServer.incrementalCollect = true",
    "set spark.sql.session.timeZone",
    "set spark.sql.adaptive.enabled",
    "set time zone 'UTC'",
    "set -v",
    "use d",
)
ATTACKS = (
    "drop table d.t",
    "drop view d.v",
    "drop database d cascade",
    "create database e",
    "alter database d set location '/tmp'",
    "insert into d.t values (2, 'y')",
    "insert into d.p values (2)",
    "insert overwrite local directory '{home}/out' using csv select 1",
    "from d.t insert into d.t select *",
    "delete from d.t",
    "delete from d.t where a = 1",
    "update d.t set a = 3",
    "merge into d.t using (select 1 as a) as s on s.a = t.a when matched then delete",
    "truncate table d.t",
    "alter table d.t add column c int",
    "alter table d.t set tblproperties ('delta.appendOnly' = 'true')",
    "comment on table d.t is 'x'",
    "create table d.u as select 1 as a",
    "create table d.u shallow clone d.t",
    "create or replace table d.t using delta as select 1 as a",
    "create view d.u as select 1 as a",
    "create temporary view u using text options (path '/etc/passwd')",
    "create function d.g(x int) returns int return 1",
    "create temporary function g as 'org.apache.hadoop.hive.ql.udf.UDFHex'",
    "declare variable q = 1",
    "cache table d.t",
    "clear cache",
    "refresh table d.t",
    "analyze table d.t compute statistics",
    "optimize d.t",
    "vacuum d.t",
    "restore table d.t to version as of 0",
    "reorg table d.t apply (purge)",
    "generate symlink_format_manifest for table d.t",
    "convert to delta parquet.`{home}/warehouse/d.db/p`",
    "msck repair table d.p",
    "load data local inpath '/etc/passwd' into table d.p",
    "add jar '/tmp/x.jar'",
    "add file '/etc/passwd'",
    "execute immediate 'drop table d.t'",
    "begin drop table d.t; end",
    "select from_xml('<a/>', 'b int', map('rowValidationXSDPath', '/etc/passwd'))",
    "describe history '{home}/elsewhere'",
    f"select * from d.p with (`fs.file.impl` = '{VIEWFS}.ViewFileSystem')",
    "select * from d_raw.lines",
    "select * from d_raw.hive",
    "select * from d_raw.delta",
    "select * from d_raw.delta version as of 0",
    "select max(value) from d_raw.lines where value in (select value from d_raw.lines)",
    "set spark.sql.runSQLOnFiles = true",
    "set spark.sql.variable.substitute = true",
    "set spark.sql.columnNameOfCorruptRecord = ${env:HOME}",
    f"set fs.file.impl = {VIEWFS}.ViewFileSystem",
    "reset",
    # Spark looks for it in Hadoop's settings, where keys and passwords are.
    "set javax.jdo.option.ConnectionUserName",
    "set javax.jdo.option.ConnectionPassword",
    "set fs.s3a.secret.key",
    "set spark.hadoop.javax.jdo.option.ConnectionUserName",
    "set spark.sql.catalog.mine.password",
    "set",
    *(f"set {setting}" for setting in FIXED),
    "set spark.sql.defaultCatalog = mine",
    "set spark.sql.legacy.extraOptionsBehavior.enabled = true",
    "set spark.sql.adaptive.enabled = false",
    "set spark.sql.session.timeZone = ${env:HOME}",
    "select schema_of_xml('<a/>', map('rowValidationXSDPath', '/etc/passwd'))",
    # Of several names that are the same but for capitals, a larger map takes any.
    *(f"select * from d.{table} with ({PLACE})" for table in ("lines", "csv", "json", "p", "days")),
    f"select * from identifier('d.lines') with ({PLACE})",
    f"select * from (select * from d.csv with ({PLACE}))",
    "select * from d.csv with (recursiveFileLookup = true)",
    "select * from d.jdbc with (sessionInitStatement = 'create schema stolen')",
    "select * from d.jdbc with (shutdown = 'true')",
    "select * from d.jdbc with (prepareQuery = 'values 1 union ')",
    "select * from d.jdbc with (driver = 'sparkify.NoSuchClass')",
    "select from_xml('<a/>', schema_of_xml('<a/>', map('rowValidationXSDPath', '/etc/passwd')))",
    "select a from d.t limit length(from_xml('<a/>', 'b int', map('rowValidationXSDPath', 'x')).b)",
    "select identifier('xpath_string')('<a>q</a>', 'a')",
    "select * from identifier('text.`/etc/passwd`')",
    "select * from identifier('d.' || 'jdbc') with (prepareQuery = 'values 1 union ')",
    "select * from identifier('ex' || 'plode')(array(xpath_string('<a>q</a>', 'a')))",
    "select xpath_string('<!DOCTYPE a SYSTEM \"http://127.0.0.1:1/dtd\"><a>q</a>', 'a')",
    "select * from d.t where a in (select xpath_int('<a>1</a>', 'a'))",
    # Their first line would be the name of a column, which Spark suggests.
    "select nosuch from csv.`{home}/tokens/writer` with (header = true, multiLine = true)",
    "select nosuch from csv.`/etc/passwd` with (header = true, multiLine = true, sep = '|')",
    "select * from table_changes_by_path('{home}/elsewhere', 0)",
    "describe detail '{home}/elsewhere'",
    "describe detail '{home}/warehouse/loose'",
    "describe detail '{home}/warehouse/d.db/t'",
    "describe detail '{home}/warehouse/d.db/p'",
    "describe detail 's3a://bucket/folder'",
    "describe history '{home}/warehouse/loose'",
    "describe detail d_raw.delta",
    "describe history d_raw.delta",
)
FILES = (
    "select * from text.`/etc/passwd`",
    "select * from text.`{home}/tokens/writer`",
    "select * from text.`{home}/warehouse/../tokens/writer`",
    "select * from binaryFile.`/etc/passwd`",
    "select * from parquet.`{home}/warehouse/d.db/p`",
    "select * from delta.`{home}/elsewhere`",
    "select * from delta.`{home}/warehouse/d_raw.db/delta`",
    "execute immediate 'select * from text.`/etc/passwd`'",
    "select * from d.files",
    "describe delta.`{home}/elsewhere`",
    "describe history delta.`{home}/elsewhere`",
    "describe detail delta.`{home}/elsewhere`",
    "show columns in delta.`{home}/elsewhere`",
    "show tblproperties delta.`{home}/elsewhere`",
)
GREETINGS = (
    {
        "set:system:hive.server2.custom.authentication.class": "org.apache.hive.service.auth."
        "AnonymousAuthenticationProviderImpl"
    },
    {"set:hiveconf:fs.file.impl": f"{VIEWFS}.ViewFileSystem"},
    {"set:spark.sql.columnNameOfCorruptRecord": "${env:HOME}"},
    {
        "hive.variable.substitute": "true",
        "set:spark.sql.columnNameOfCorruptRecord": "${env:HOME}",
    },
    {"set:hivevar:a": "${env:HOME}"},
    *({f"set:{name}": value} for name, value in (setting.split("=") for setting in FIXED)),
    {"set:hivevar:spark.sql.legacy.extraOptionsBehavior.enabled": "true"},
)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    # Blanks and capitals, for what is printed is for a shell.
    with serving(tmp_path_factory.mktemp("my home"), schema="Theirs") as server:
        writer = server.connect(server.token("writer"))
        for statement in (
            "create database d",
            "create table d.t using delta as select 1 as a, 'x' as b",
            "insert into d.t values (5, 'five')",
            "create view d.v as select * from d.t",
            "create table d.p using parquet as select 1 as a",
            "create table d.lines using text as select 'x' as value",
            "create table d.csv using csv options (header 'true') as select 'x' as value",
            "create table d.json using json as select 'x' as value",
            "create table d.days using text partitioned by (day) as select 'x' as a, 'y' as day",
            "create table d.jdbc using jdbc options (dbtable 'sys.sysschemas', url "
            f"'jdbc:derby:{server.home}/other;create=true')",
            "create database d_raw",
            "create table d_raw.lines using text as select 'a name' as value",
            "create table d_raw.hive stored as textfile as select 'a name' as value",
            "create table d_raw.delta using delta as select 'a name' as value",
            "create function d.hidden as 'org.apache.hadoop.hive.ql.udf.generic.GenericUDFReflect'",
            "create view d.files as select * from text.`/etc/passwd`",
            f"create table delta.`{server.home}/elsewhere` using delta as select 1 as a",
            f"create table d.away using delta location '{server.home}/elsewhere'",
            f"create table delta.`{server.home}/warehouse/loose` using delta as select 1 as a",
        ):
            ask(writer, statement)
        writer.close()
        yield server


@pytest.fixture
def reader(server):
    # A name is the client's to choose: it makes nobody a writer.
    with closing(server.connect(server.token("reader"))) as connection:
        yield connection


def ask(connection, statement: str) -> list[tuple]:
    cursor = connection.cursor()
    cursor.execute(statement)
    return cursor.fetchall() if cursor.description else []


def client(server, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [BIN / "sparkify", *arguments],
        env=server.environment | environment,
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.parametrize("password", ["", "none", "None", "writer", "reader"])
def test_without_a_token_nobody_comes_in_over_thrift(server, password):
    with pytest.raises(TTransportException, match="validating the login|ended|0 bytes"):
        server.connect(password)


def test_without_a_token_nobody_comes_in_over_connect(server):
    for token in ("wrong", server.token("reader")):
        refused = client(server, "sql", "select 1", **{CONNECT_TOKEN: token})
        assert refused.returncode == 3
        assert (
            len(refused.stderr.splitlines()) == 1 and "does not take this token" in refused.stderr
        )


def test_a_wrong_token_is_told_in_a_line(server):
    refused = client(server, "--target", "thrift", "tables", **{THRIFT_TOKEN: "wrong"})
    assert refused.returncode == 3
    assert len(refused.stderr.splitlines()) == 1 and "does not take this token" in refused.stderr


def test_clients_of_the_same_user_find_the_token(server, tmp_path):
    for arguments in (["sql", "select 1 as n"], ["--target", "thrift", "sql", "select 1 as n"]):
        done = client(server, *arguments)
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
    thrift, connect = server.thrift, server.environment["SPARK_REMOTE"].rsplit(":")[-1]
    ports = ("--thrift-port", str(thrift), "--connect-port", connect)
    said = client(server, "serve", "--check", *ports).stdout
    assert "takes the tokens of writer and reader, and no other" in said
    (tmp_path / "tokens").mkdir()
    (tmp_path / "tokens" / "writer").write_text(server.token("writer"))
    (tmp_path / "tokens" / "reader").write_text("another")
    refused = client(server, "serve", "--check", *ports, SPARKIFY_HOME=str(tmp_path))
    assert refused.returncode == 3 and "does not take the reader's token" in refused.stderr


def test_tokens_are_for_their_owner_alone(server):
    folder = server.home / "tokens"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for role in ("writer", "reader"):
        assert stat.S_IMODE((folder / role).stat().st_mode) == 0o600
        assert len(server.token(role)) >= 40
    started = running_under(psutil.Process(server.process.pid))
    shown = [" ".join(words) for words in started.values()]
    assert any("HiveThriftServer2" in line for line in shown)
    written = [file.read_text() for file in (server.home / "logs").iterdir()]
    for text in [*shown, *written, *server.said]:
        assert server.token("writer") not in text and server.token("reader") not in text


def test_each_printed_command_works_as_it_is_printed(server):
    printed = dict(re.findall(r"^  (sparkify|dbt|JDBC) +(.*)$", "".join(server.said), re.M))
    # Another terminal, in the folder of the project, with its environment active.
    known = {"HOME", "JAVA_HOME", "LANG", "PYTHONPATH"} & {*os.environ}
    environment = {name: os.environ[name] for name in known}
    environment |= {"PATH": f"{BIN}:{os.environ['PATH']}"}
    for command in (
        printed["sparkify"].replace(" status", " sql 'select 40 + 2 as n'"),
        printed["dbt"].replace("dbt build", "dbt debug"),
        f"{printed['JDBC']} -e 'select 40 + 2 as n'",
    ):
        done = subprocess.run(
            command,
            shell=True,
            cwd=PROJECT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, (command, done)
        assert "42" in done.stdout or "schema: theirs" in done.stdout, (command, done)


@pytest.mark.parametrize("statement", PROGRAMS)
def test_sql_runs_no_programs(server, statement):
    for role in ("writer", "reader"):
        with (
            closing(server.connect(server.token(role))) as connection,
            pytest.raises(OperationalError, match="refused unless|only reads tables"),
        ):
            ask(connection, statement)
    refused = client(server, "sql", "--write", statement) if "reflect('" in statement else None
    assert refused is None or "refused unless" in refused.stderr


@pytest.mark.parametrize("setting", FIXED)
def test_nobody_switches_the_checks_off(server, setting):
    with (
        closing(server.connect(server.token("writer"))) as writer,
        pytest.raises(OperationalError, match="CANNOT_MODIFY"),
    ):
        ask(writer, f"set {setting}")
    name, value = setting.split("=")
    with pytest.raises(
        (OperationalError, TTransportException), match="CANNOT_MODIFY|Cannot modify"
    ):
        server.connect(server.token("writer"), configuration={f"set:{name}": value})


def test_nor_does_anybody_over_connect(server):
    program = f"""
from pyspark.sql import SparkSession
spark = SparkSession.builder.getOrCreate()
for setting in {FIXED!r}:
    try:
        spark.conf.set(*setting.split("="))
    except Exception as error:
        print(error.getCondition())
"""
    # To a server of any other name a client sends a token over TLS only.
    remote = server.environment["SPARK_REMOTE"].replace("127.0.0.1", "localhost")
    login = {"SPARK_REMOTE": remote, CONNECT_TOKEN: server.token("writer")}
    done = subprocess.run(
        [BIN / "python", "-c", program],
        env=server.environment | login,
        capture_output=True,
        text=True,
        timeout=120,
    )
    said = done.stdout.split()
    assert len(said) == len(FIXED), done.stderr
    assert all(condition.startswith("CANNOT_MODIFY") for condition in said), said


def test_a_reader_is_shown_no_secret(server, reader):
    shown = str(ask(reader, "set -v"))
    assert "spark.sql.session.timeZone" in shown
    assert "javax.jdo" not in shown and server.token("writer") not in shown


@pytest.mark.parametrize("statement", READING)
def test_a_reader_reads(reader, statement):
    assert ask(reader, statement) or statement == "use d"


@pytest.mark.parametrize(
    "time", ["current_timestamp() + interval 1 day", "date_add(current_date(), 1)", "'2999-01-01'"]
)
def test_a_reader_may_have_a_time_reckoned(reader, time):
    """There is no such version: so says Delta, and not the gate."""
    with pytest.raises(OperationalError, match="DELTA_TIMESTAMP_GREATER_THAN_COMMIT"):
        ask(reader, f"select * from d.t timestamp as of {time}")


@pytest.mark.parametrize("statement", ATTACKS)
def test_a_reader_changes_nothing_and_reads_no_files(server, reader, statement):
    before = ask(reader, "describe history d.t"), ask(reader, "show tables in d")
    with pytest.raises(OperationalError, match="only reads tables"):
        ask(reader, statement.replace("{home}", str(server.home)))
    assert (ask(reader, "describe history d.t"), ask(reader, "show tables in d")) == before


@pytest.mark.parametrize("statement", FILES)
def test_to_a_reader_a_path_is_no_table(server, reader, statement):
    with pytest.raises(OperationalError, match="TABLE_OR_VIEW_NOT_FOUND") as refused:
        ask(reader, statement.replace("{home}", str(server.home)))
    assert server.token("writer") not in str(refused) and "root:" not in str(refused)


def test_a_reader_does_not_see_the_environment(reader):
    for name in ("env:SPARK_CONNECT_AUTHENTICATE_TOKEN", "env:HOME", "system:user.home"):
        assert ask(reader, f"select '${{{name}}}'") == [(f"${{{name}}}",)]


@pytest.mark.parametrize("configuration", GREETINGS, ids=lambda given: " ".join(given))
def test_a_reader_sets_nothing_of_the_server_while_it_connects(server, configuration):
    with (
        pytest.raises(OperationalError, match="only reads tables|Cannot modify"),
        closing(server.connect(server.token("reader"), configuration=configuration)) as connection,
    ):
        ask(connection, "set spark.sql.columnNameOfCorruptRecord")
    with pytest.raises(TTransportException, match="validating the login"):
        server.connect("none")
    server.connect(server.token("writer")).close()


def test_ports_of_spark_itself_answer_nobody_else(server):
    (java,) = (
        each
        for each, words in running_under(psutil.Process(server.process.pid)).items()
        if each.name() == "java"
    )
    known = {server.thrift, int(server.environment["SPARK_REMOTE"].rsplit(":")[-1])}
    listening = {each.laddr.port for each in java.net_connections() if each.status == "LISTEN"}
    assert listening > known
    for port in listening - known:
        # A request of Spark's protocol: its length, kind, id, and a body of a byte.
        with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
            client.sendall(struct.pack(">qbqib", 22, 3, 1, 1, 0))
            assert b"SASL" in client.recv(4096)


def test_its_classes_lie_in_the_home_where_nothing_can_lie_beside_the_jars(settings, tmp_path):
    found = compiled_gate(replace(settings, home=tmp_path, jars=tmp_path / "none"))
    assert found.parent == tmp_path / "gate" and (found / "sparkify" / "Gate.class").exists()


@pytest.mark.parametrize("written", ["", " ", "a\n", "\xff"])
def test_a_server_does_not_start_with_a_file_that_holds_no_token(tmp_path, written):
    (tmp_path / "tokens").mkdir()
    (tmp_path / "tokens" / "writer").write_text(written)
    refused = subprocess.run(
        [BIN / "sparkify", "serve"],
        env=os.environ | {"SPARKIFY_HOME": str(tmp_path), "SPARKIFY_TARGET": "local"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert refused.returncode == 3
    assert len(refused.stderr.splitlines()) == 1 and "holds no token" in refused.stderr


@pytest.mark.parametrize("prefix", ["", "set:hiveconf:"])
@pytest.mark.parametrize("name", ["mine", "spark_catalog"])
def test_a_reader_brings_no_catalogue_along(server, name, prefix):
    catalogue = {
        f"spark.sql.catalog.{name}": f"{JDBC}.JDBCTableCatalog",
        f"spark.sql.catalog.{name}.url": f"jdbc:derby:{server.home}/mine;create=true",
        f"spark.sql.catalog.{name}.driver": "org.apache.derby.iapi.jdbc.AutoloadedDriver",
    }
    with pytest.raises(OperationalError, match="only reads tables"):
        if prefix:
            given = {f"{prefix}{name}": value for name, value in catalogue.items()}
            server.connect(server.token("reader"), configuration=given)
        with closing(server.connect(server.token("reader"))) as connection:
            for setting, value in catalogue.items():
                ask(connection, f"set {setting} = {value}")
            ask(connection, f"select * from {name}.a.b")
    assert not (server.home / "mine").exists()


def test_a_reader_does_not_move_the_warehouse(server):
    moved = {"set:hiveconf:spark.sql.warehouse.dir": "/"}
    with (
        pytest.raises(OperationalError, match="only reads tables|static Spark config"),
        closing(server.connect(server.token("reader"), configuration=moved)) as connection,
    ):
        ask(connection, f"select * from delta.`{server.home}/elsewhere`")


def test_a_reader_speaks_for_nobody_else(server):
    with pytest.raises(OperationalError, match="proxy privilege"):
        server.connect(server.token("reader"), configuration={"hive.server2.proxy.user": "someone"})


def test_whoever_wants_no_tokens_says_so(tmp_path):
    with serving(tmp_path, "--open") as server:
        assert "nobody is asked for a token" in "".join(server.said)
        with closing(server.connect("anything")) as connection:
            assert ask(connection, "create database d") == []
        assert client(server, "sql", "select 1").returncode == 0
        connect = server.environment["SPARK_REMOTE"].rsplit(":")[-1]
        ports = ("--thrift-port", str(server.thrift), "--connect-port", connect)
        assert "asks for no token" in client(server, "serve", "--check", *ports).stdout


def test_programs_that_are_allowed_are_a_writers(tmp_path):
    program = "select reflect('java.lang.Math', 'abs', -1)"
    script = "select transform(a) using 'cat' as x from values (1) as v(a)"
    with serving(tmp_path, "--allow-programs") as server:
        with closing(server.connect(server.token("writer"))) as writer:
            assert ask(writer, program) == ask(writer, script) == [("1",)]
            ask(writer, f"create view programs as {program} as a")
        for statement in (program, script, "select * from programs"):
            with (
                closing(server.connect(server.token("reader"))) as reader,
                pytest.raises(OperationalError, match="only reads tables"),
            ):
                ask(reader, statement)
