"""A server never outlives its command."""

import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from pyhive import hive

from sparkify.interrupt import SIGNALS
from tests.server.serving import BIN, free_ports, java_of, wait_for

HOST, LIMIT_S = "127.0.0.1", 60
# Where one of them is obeyed, Hive listens on every address, or asks for TLS without a key.
OPEN = {
    "hive.server2.transport.mode": "http",
    "hive.server2.thrift.bind.host": "0.0.0.0",
    "hive.server2.use.SSL": "true",
}


@pytest.fixture
def server(tmp_path):
    """`sparkify serve` on free ports, as soon as its Java runs."""
    thrift, connect = map(str, free_ports(2))
    ports = ("--thrift-port", thrift, "--connect-port", connect)
    environment = os.environ | {"SPARKIFY_HOME": str(tmp_path), "SPARKIFY_TARGET": "local"}
    environment["HIVE_SERVER2_THRIFT_BIND_HOST"] = "0.0.0.0"
    environment["HADOOP_CONF_DIR"] = environment["HIVE_CONF_DIR"] = str(tmp_path)
    environment["SPARK_CONF_DIR"] = str(tmp_path)
    told = OPEN | {"hive.server2.thrift.http.port": thrift}
    names = [f"<name>{name}</name><value>{value}</value>" for name, value in told.items()]
    properties = "".join(f"<property>{each}</property>" for each in names)
    (tmp_path / "hive-site.xml").write_text(f"<configuration>{properties}</configuration>")
    defaults = [f"spark.hadoop.{name} {value}\n" for name, value in told.items()]
    defaults.append("spark.connect.grpc.binding.address 0.0.0.0\n")
    (tmp_path / "spark-defaults.conf").write_text("".join(defaults))
    environment["JAVA_TOOL_OPTIONS"] = " ".join(f"-D{name}={value}" for name, value in told.items())
    process = psutil.Popen(
        [str(BIN / "sparkify"), "serve", *ports],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=hear_signals,
    )
    wait_for(lambda: java_of(process))
    java = java_of(process)
    yield process
    for each in (process, *java):
        with suppress(psutil.NoSuchProcess):
            each.kill()


def hear_signals() -> None:
    """Have a child heed them, though the suite runs in the background or under nohup."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_DFL)


@pytest.mark.parametrize("is_ready", [False, True], ids=["while it starts", "once it is ready"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGKILL])
def test_a_server_ends_with_its_command_however_that_ends(server, number, is_ready):
    if is_ready:
        assert any("Ctrl-C" in line for line in server.stdout), "the server did not start"
    java = java_of(server)
    assert java
    server.send_signal(number)
    server.wait(LIMIT_S)
    gone, alive = psutil.wait_procs(java, timeout=LIMIT_S)
    assert gone and not alive


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_server_whose_java_is_ended_says_so(server, number):
    assert any("Ctrl-C" in line for line in server.stdout), "the server did not start"
    (java,) = java_of(server)
    java.send_signal(number)
    (said,) = server.stderr.read().splitlines()
    assert server.wait(LIMIT_S) == 3
    assert "the server has ended" in said and "server.log" in said
    assert "SIGKILL" in said or number != signal.SIGKILL


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_query_whose_server_ends_says_so(server, number):
    assert any("Ctrl-C" in line for line in server.stdout), "the server did not start"
    home = server.environ()["SPARKIFY_HOME"]
    remote = {"SPARKIFY_HOME": home, "SPARK_REMOTE": f"sc://localhost:{server.args[5]}"}
    query = "select id from range(1000000000000) where hash(id) = id + 1"
    client = subprocess.Popen(
        [BIN / "sparkify", "sql", "--write", f"create table slow using parquet as {query}"],
        env=os.environ | remote,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    files = Path(home, "warehouse", "slow")
    wait_for(lambda: files.exists() or client.poll() is not None, LIMIT_S)
    server.send_signal(number)
    said, warned = client.communicate(timeout=30)
    (line,) = warned.splitlines()
    assert (client.returncode, said) == (3, ""), line
    assert "the Spark server has ended or is out of reach" in line


def test_a_server_listens_on_loopback_whatever_the_environment_says(server):
    assert any("Ctrl-C" in line for line in server.stdout), "the server did not start"
    (java,) = java_of(server)
    listening = {each.laddr for each in java.net_connections() if each.status == "LISTEN"}
    assert {HOST} == {address.ip.removeprefix("::ffff:") for address in listening}
    assert len(listening) >= 2
    # In the clear, as its clients expect it.
    port, token = int(server.args[3]), Path(server.environ()["SPARKIFY_HOME"], "tokens", "reader")
    hive.connect(HOST, port, auth="CUSTOM", username="me", password=token.read_text()).close()
