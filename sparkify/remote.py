"""Spark Connect: the session of a client of a running server, from its first call to its last."""

import os
import re
import socket
import sys
import threading
import warnings
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from sparkify.errors import BadInput, WrongUse
from sparkify.settings import Settings
from sparkify.terminal import warn

THRIFT_PORT = 10000
CONNECT_PORT = 15002
# Where clients look for a token: dbt (see profiles.yml; it keeps such a name out of its logs), and
# pyspark over Connect.
THRIFT_TOKEN, CONNECT_TOKEN = "DBT_ENV_SECRET_SPARKIFY_TOKEN", "SPARK_CONNECT_AUTHENTICATE_TOKEN"
THIS_MACHINE = ("127.0.0.1", "localhost", "::1")
REFUSED = (
    "the server at {} does not take this token: it has to be the one in the folder `tokens` of the "
    "SPARKIFY_HOME that the server was started with; set SPARKIFY_HOME to that, or {} to the token"
)
CERTIFICATE = (
    "a token goes to another machine, or with use_ssl=true, by TLS only: there has to be a "
    "certificate for {}, of an authority that is trusted; GRPC_DEFAULT_SSL_ROOTS_FILE_PATH names a "
    "file of such"
)
# A state of a socket, in /proc/net/tcp.
LISTENS = "0A"
# A server that is there answers within milliseconds.
ANSWER_S = 10
# A Thrift server makes a session before it answers.
LOGIN_S = 30
# With waits of 50 ms, 200 ms, 800 ms and 3 s between them; Spark's own go on for 10 minutes.
TRIES = 4
GOODBYE_S = 5
# Of gRPC, where a server has ended: killed, or by itself, which cancels what it was asked.
GONE = ("UNAVAILABLE", "CANCELLED")
# What a server that is about to end still answers.
ENDING = r"stopped SparkContext|SparkContext (has been shutdown|was shut down)"


def show_token(settings: Settings) -> None:
    """Have clients show a server on this machine the writer's token, unless another one is given.

    A server elsewhere never sees it, nor one of another user.

    Raises:
        BadInput: what listens here is of another user, who would get the token.
    """
    url = os.environ.get("SPARK_REMOTE", "")
    with suppress(ValueError):  # no address: told by `check_server`
        address = urlsplit(url)
        host, port = address.hostname, address.port or CONNECT_PORT
        # To a server of any other name the client sends a token over TLS only.
        if host == "127.0.0.1":
            os.environ["SPARK_REMOTE"] = url.replace(host, "localhost", 1)
        with suppress(OSError):  # started with --open, or with another home
            token = (settings.tokens / "writer").read_text()
            is_here = thrift_host() in THIS_MACHINE
            if settings.target == "thrift" and is_here and THRIFT_TOKEN not in os.environ:
                own = os.environ.get("SPARKIFY_THRIFT_PORT", str(THRIFT_PORT))
                check_listener(own, "--thrift-port", "SPARKIFY_THRIFT_PORT={port}")
                os.environ[THRIFT_TOKEN] = token
            is_here = host in THIS_MACHINE and "token=" not in url
            if is_here and CONNECT_TOKEN not in os.environ:
                check_listener(str(port), "--connect-port", "SPARK_REMOTE=sc://localhost:{port}")
                os.environ[CONNECT_TOKEN] = token
    for name in {THRIFT_TOKEN, CONNECT_TOKEN} & {*os.environ}:
        # A file's line end is no part of a token; with it a client would try for a minute.
        os.environ[name] = os.environ[name].strip()


def check_listener(port: str, option: str, setting: str) -> None:
    """Refuse a port of this machine at which a program of another user listens, at any address.

    A name such as localhost may lead to another one than the server has. Where the system does not
    tell whose a program is, as on macOS, nothing is known of it. `option` of `sparkify serve` is
    the way to another port, and `setting` how clients then find it.

    Raises:
        BadInput: it is so.
    """
    others = listeners(port) - {os.getuid()}
    if others:
        raise BadInput(
            f"at port {port} a program of another user listens (uid {min(others)}), which is shown "
            f"no token; start a server at another port, such as `sparkify serve {option} "
            f"{int(port) + 1}`, and set {setting.format(port=int(port) + 1)}"
        )


def listeners(port: str) -> set[int]:
    """The ids of the users whose programs listen at a port of this machine, as far as is known."""
    found = set()
    for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        with suppress(OSError):
            for row in map(str.split, table.read_text().splitlines()[1:]):
                place, state, uid = row[1], row[3], row[7]
                if state == LISTENS and str(int(place.rpartition(":")[2], 16)) == port:
                    found.add(int(uid))
    return found


def open_remote(url: str):
    """A session on the server at `url`, such as sc://localhost:15002.

    Raises:
        WrongUse: it is no such address.
        BadInput: no server answers there, or it refuses the token.
    """
    from pyspark.errors.exceptions.connect import SparkConnectGrpcException
    from pyspark.sql import SparkSession
    from pyspark.sql.connect.client.retries import DefaultPolicy

    check_server(url)
    warnings.filterwarnings("ignore", message=r"\[RETRIES_EXCEEDED\]")
    spark = SparkSession.builder.remote(url).getOrCreate()
    try:
        spark.version  # noqa: B018 - the first call that shows the token
    except SparkConnectGrpcException as error:
        if status_of(error) == "UNAUTHENTICATED":
            raise BadInput(REFUSED.format(urlsplit(url).netloc, CONNECT_TOKEN)) from error
        raise
    spark.client.set_retry_policies([DefaultPolicy(max_retries=TRIES)])
    # As in a session of one's own, whatever the server's are.
    for name, value in (("spark.sql.session.timeZone", "UTC"), ("spark.sql.ansi.enabled", "false")):
        if spark.conf.get(name) != value:
            spark.conf.set(name, value)
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
            # Not what it is: it may hold a token.
            "SPARK_REMOTE is no address of a Spark Connect server, such as "
            f"sc://localhost:{CONNECT_PORT} or sc://host:{CONNECT_PORT}/;token=TOKEN"
        ) from error
    answer = f"no Spark Connect server answers at {builder.endpoint}"
    if not listens(host, port):
        raise BadInput(f"{answer}; {how_to_start(host, '--connect-port', port, CONNECT_PORT)}")
    remedy = how_to_start(host, "--connect-port")
    # By pyspark's own rule: without it a token goes to no other name.
    if builder.use_ssl or (builder.secure and host != "localhost"):
        remedy = CERTIFICATE.format(host)
    channel = builder.toChannel()
    try:
        grpc.channel_ready_future(channel).result(timeout=ANSWER_S)
    except grpc.FutureTimeoutError as error:
        raise BadInput(f"{answer}, though something listens there; {remedy}") from error
    finally:
        channel.close()


def check_thrift() -> None:
    """Refuse the `thrift` target while it cannot be used: dbt would try for long.

    Raises:
        WrongUse: there is no such port.
        BadInput: no server answers there, or it refuses the token.
    """
    from pyhive import hive
    from thrift.transport.TTransport import TTransportException

    host = thrift_host()
    port = os.environ.get("SPARKIFY_THRIFT_PORT", str(THRIFT_PORT))
    if not (port.isdecimal() and 1 <= int(port) <= 65_535):
        raise WrongUse(f"SPARKIFY_THRIFT_PORT is {port!r}; give a port from 1 to 65535")
    answer = f"no Spark Thrift server answers at {host}:{port}"
    if not listens(host, int(port)):
        raise BadInput(f"{answer}; {how_to_start(host, '--thrift-port', int(port), THRIFT_PORT)}")
    if host not in THIS_MACHINE:
        warn(f"what goes to {host} over Thrift is not encrypted, the password neither")
    done = Future()

    def log_in() -> None:
        try:
            hive.connect(host, int(port), **thrift_credentials()).close()
            done.set_result(True)
        except Exception as error:
            done.set_exception(error)

    # PyHive waits for ever for one that says nothing.
    threading.Thread(target=log_in, daemon=True).start()
    try:
        done.result(timeout=LOGIN_S)
    except (TTransportException, TimeoutError) as error:
        if "validating the login" in str(error):
            user = thrift_credentials()["username"]
            theirs = f" (of a server that is not ours, to the password of {user})"
            raise BadInput(REFUSED.format(f"{host}:{port}", THRIFT_TOKEN) + theirs) from error
        remedy = how_to_start(host, "--thrift-port")
        raise BadInput(f"{answer}, though something listens there; {remedy}") from error


def thrift_host() -> str:
    """The host of the target `thrift`."""
    return os.environ.get("SPARKIFY_THRIFT_HOST", "127.0.0.1")


def thrift_credentials() -> dict[str, str]:
    """What PyHive logs in with, as dbt does: a server that asks for nothing takes anything."""
    return {
        "auth": "CUSTOM",
        "username": os.environ.get("SPARKIFY_THRIFT_USER", "sparkify"),
        "password": os.environ.get(THRIFT_TOKEN, "none"),
    }


def how_to_start(host: str, option: str, port: int | None = None, usual: int | None = None) -> str:
    """The command that makes a server answer at a port of this machine, or what else to do.

    port: None where it is taken.
    """
    is_connect = option == "--connect-port"
    if host not in THIS_MACHINE:
        setting = "SPARK_REMOTE" if is_connect else "SPARKIFY_THRIFT_HOST"
        return f"start one on {host}, or mend {setting}"
    if port is None:
        setting = "SPARK_REMOTE" if is_connect else "SPARKIFY_THRIFT_PORT"
        return (
            f"if that is no server that is starting, start one at another port, `sparkify serve "
            f"{option} PORT`, and name it in {setting}"
        )
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
    """Whether an error says that the server does not answer any more, or is about to end."""
    is_ending = has_remote() and re.search(ENDING, str(error)) is not None
    return is_ending or status_of(error) in GONE


def status_of(error: BaseException) -> str:
    """The name of an error's gRPC status; empty without one."""
    code = getattr(error, "getGrpcStatusCode", None) or getattr(error, "code", None)
    return getattr(code(), "name", "") if callable(code) else ""


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
