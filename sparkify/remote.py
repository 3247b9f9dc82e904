"""Spark Connect: the session of a client of a running server, from its first call to its last."""

import os
import socket
import sys
import threading
import warnings
from urllib.parse import urlsplit

from sparkify.errors import BadInput, WrongUse

THRIFT_PORT = 10000
CONNECT_PORT = 15002
# A server that is there answers within milliseconds.
ANSWER_S = 10
# With waits of 50 ms, 200 ms, 800 ms and 3 s between them; Spark's own go on for 10 minutes.
TRIES = 4
GOODBYE_S = 5


def open_remote(url: str):
    """A session on the server at `url`, such as sc://127.0.0.1:15002.

    Raises:
        WrongUse: it is no such address.
        BadInput: no server answers there.
    """
    from pyspark.sql import SparkSession
    from pyspark.sql.connect.client.retries import DefaultPolicy

    check_server(url)
    warnings.filterwarnings("ignore", message=r"\[RETRIES_EXCEEDED\]")
    spark = SparkSession.builder.remote(url).getOrCreate()
    spark.client.set_retry_policies([DefaultPolicy(max_retries=TRIES)])
    return spark


def check_server(url: str) -> None:
    """Refuse an address at which no Spark Connect server answers: Spark tries for 10 minutes."""
    import grpc
    from pyspark.errors import PySparkException
    from pyspark.sql.connect.client.core import DefaultChannelBuilder

    try:
        builder = DefaultChannelBuilder(url)
        place = urlsplit(f"//{builder.endpoint}")
        host, port = place.hostname, place.port
    except (PySparkException, ValueError) as error:
        raise WrongUse(
            f"SPARK_REMOTE is no address of a Spark Connect server, such as "
            f"sc://127.0.0.1:{CONNECT_PORT}: {error}"
        ) from error
    answer = f"no Spark Connect server answers at {builder.endpoint}"
    remedy = f"; {how_to_start('--connect-port', port, CONNECT_PORT)}"
    if not listens(host, port):
        raise BadInput(answer + remedy)
    channel = builder.toChannel()
    try:
        grpc.channel_ready_future(channel).result(timeout=ANSWER_S)
    except grpc.FutureTimeoutError as error:
        raise BadInput(f"{answer}, though something listens there{remedy}") from error
    finally:
        channel.close()


def check_thrift() -> None:
    """Refuse the `thrift` target while nothing listens at its address: dbt would try for long."""
    host = os.environ.get("SPARKIFY_THRIFT_HOST", "127.0.0.1")
    port = os.environ.get("SPARKIFY_THRIFT_PORT", str(THRIFT_PORT))
    if not (port.isdecimal() and 1 <= int(port) <= 65_535):
        raise WrongUse(f"SPARKIFY_THRIFT_PORT is {port!r}; give a port from 1 to 65535")
    if not listens(host, int(port)):
        raise BadInput(
            f"no Spark Thrift server answers at {host}:{port}; "
            f"{how_to_start('--thrift-port', int(port), THRIFT_PORT)}"
        )


def how_to_start(option: str, port: int, usual: int) -> str:
    """The command that makes a server answer at a port."""
    given = "" if port == usual else f" {option} {port}"
    return f"start one in another terminal: `sparkify serve{given}`"


def listens(host: str, port: int) -> bool:
    """Whether a connection can be made."""
    try:
        with socket.create_connection((host, port), timeout=ANSWER_S):
            return True
    except OSError:
        return False


def is_gone(error: BaseException) -> bool:
    """Whether an error says that the server does not answer any more."""
    code = getattr(error, "getGrpcStatusCode", None) or getattr(error, "code", None)
    return callable(code) and getattr(code(), "name", "") == "UNAVAILABLE"


def has_remote() -> bool:
    """Whether this process is a client."""
    return "SPARK_REMOTE" in os.environ


def say_goodbye() -> None:
    """Release the session on the server, unless that takes long.

    What pyspark does when the interpreter ends is to wait for a server, which may be gone, in calls
    that cannot be made any more.
    """
    connect = sys.modules.get("pyspark.sql.connect.session")
    session = connect and connect.SparkSession.getActiveSession()
    if session:
        stopping = threading.Thread(target=session.stop, daemon=True)
        stopping.start()
        stopping.join(GOODBYE_S)
