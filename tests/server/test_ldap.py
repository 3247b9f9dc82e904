"""A Thrift server that is not ours asks for a name and a password, and LDAP knows them."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pyspark
import pytest

from sparkify.remote import THRIFT_TOKEN, listens
from sparkify.session import spark_settings
from sparkify.settings import PROJECT
from tests.server.debian import install
from tests.server.serving import BIN, free_ports, reaching, wait_for

PACKAGE, SLAPD = "slapd", Path("/usr/sbin/slapd")
HOST, LIMIT_S = "127.0.0.1", 120
NAME, PASSWORD = "ann", "open-sesame-7"
PEOPLE = "ou=people,dc=shop"
CONFIGURATION = """
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
database mdb
suffix dc=shop
directory {folder}
"""
ENTRIES = f"""
dn: dc=shop
objectClass: domain
dc: shop

dn: {PEOPLE}
objectClass: organizationalUnit
ou: people

dn: uid={NAME},{PEOPLE}
objectClass: inetOrgPerson
uid: {NAME}
cn: Ann
sn: Other
userPassword: {PASSWORD}
"""


@contextmanager
def answering(process: subprocess.Popen, port: int) -> Iterator[None]:
    """Wait until a server answers, and end it afterwards."""
    try:
        wait_for(lambda: process.poll() is not None or listens(HOST, port), LIMIT_S)
        assert process.poll() is None, "it did not start"
        yield
    finally:
        process.terminate()
        process.wait(LIMIT_S)


@pytest.fixture(scope="module")
def ldap(tmp_path_factory) -> Iterator[int]:
    """The port of a server that knows one person."""
    if not SLAPD.exists():
        install(PACKAGE)
    if not SLAPD.exists():
        pytest.skip(f"no LDAP server: install the package {PACKAGE}")
    folder = tmp_path_factory.mktemp("ldap")
    configuration, entries = folder / "slapd.conf", folder / "people.ldif"
    configuration.write_text(CONFIGURATION.format(folder=folder))
    entries.write_text(ENTRIES)
    slapadd = (SLAPD.with_name("slapadd"), "-f", configuration, "-l", entries)
    subprocess.run(slapadd, check=True, capture_output=True)
    (port,) = free_ports(1)
    with (folder / "log").open("wb") as log:
        # Told a level of debugging it stays in the foreground.
        slapd = (SLAPD, "-f", configuration, "-h", f"ldap://{HOST}:{port}", "-d", "0")
        process = subprocess.Popen(slapd, stdout=log, stderr=log)
    with answering(process, port):
        yield port


@pytest.fixture(scope="module")
def server(ldap, settings, tmp_path_factory) -> Iterator[dict[str, str]]:
    """The environment of clients of Spark's own Thrift server, with Connect beside it."""
    home = tmp_path_factory.mktemp("home")
    (home / "logs").mkdir()
    thrift, connect = free_ports(2)
    environment = reaching(home, thrift, connect, "thrift") | {"SPARKIFY_THRIFT_USER": NAME}
    conf = spark_settings(replace(settings, target="local"))
    warehouse = conf["spark.sql.warehouse.dir"].replace(str(settings.home), str(home))
    options = {
        "authentication": "LDAP",
        "authentication.ldap.url": f"ldap://{HOST}:{ldap}",
        "authentication.ldap.baseDN": PEOPLE,
        "thrift.bind.host": HOST,
        "thrift.port": thrift,
    }
    java = [f"-Dhive.server2.{name}={value}" for name, value in options.items()]
    conf |= {
        "spark.driver.extraJavaOptions": " ".join([conf["spark.driver.extraJavaOptions"], *java]),
        "spark.sql.warehouse.dir": warehouse,
        "spark.hadoop.javax.jdo.option.ConnectionURL": (
            f"jdbc:derby:;databaseName={home}/metastore;create=true"
        ),
        "spark.sql.catalogImplementation": "hive",
        "spark.plugins": "org.apache.spark.sql.connect.SparkConnectPlugin",
        "spark.connect.grpc.binding.address": HOST,
        "spark.connect.grpc.binding.port": connect,
    }
    command = [
        Path(pyspark.__file__).parent / "bin" / "spark-submit",
        *("--class", "org.apache.spark.sql.hive.thriftserver.HiveThriftServer2"),
        *(part for name, value in conf.items() for part in ("--conf", f"{name}={value}")),
        "spark-internal",
    ]
    with (home / "logs" / "server.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    with answering(process, thrift):
        yield environment


def client(environment: dict[str, str], *command: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [BIN / command[0], *command[1:]],
        cwd=PROJECT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
    )


def test_who_is_in_ldap_comes_in_with_dbt_and_with_our_command(server):
    known = server | {THRIFT_TOKEN: PASSWORD}
    for command in (["dbt", "debug"], ["sparkify", "sql", "select 40 + 2 as n"]):
        done = client(known, *command)
        assert done.returncode == 0, done
        assert "All checks passed" in done.stdout or "42" in done.stdout, done


@pytest.mark.parametrize(
    ("name", "password"), [(NAME, "wrong"), (NAME, ""), ("bob", PASSWORD), ("*", PASSWORD)]
)
def test_nobody_else_does(server, name, password):
    stranger = server | {"SPARKIFY_THRIFT_USER": name, THRIFT_TOKEN: password}
    refused = client(stranger, "sparkify", "sql", "select 1")
    assert (refused.returncode, refused.stdout) == (3, ""), refused
    (line,) = refused.stderr.splitlines()
    assert "does not take this token" in line and f"to the password of {name})" in line
    assert PASSWORD not in line
