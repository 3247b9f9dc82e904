"""What stands between a client and a server: a port in front of another, with TLS or without."""

import asyncio
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread

HERE = "127.0.0.1"
# Of this machine too, and yet no name of it that a client knows.
ELSEWHERE = "127.0.0.2"


@dataclass(frozen=True)
class Certificate:
    """file: what to trust."""

    file: Path
    key: Path


@dataclass(frozen=True)
class Front:
    """heard: what clients sent to it, without the TLS."""

    port: int
    heard: bytearray = field(default_factory=bytearray)


def certificate_for(name: str, folder: Path) -> Certificate:
    """A certificate for a name, by which nobody vouches for it but itself."""
    made = Certificate(folder / f"{name}.pem", folder / f"{name}.key")
    command = ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}")
    files = ("-addext", f"subjectAltName=DNS:{name}", "-out", made.file, "-keyout", made.key)
    subprocess.run([*command, *files], check=True, capture_output=True)
    return made


@contextmanager
def in_front_of(
    port: int, *, host: str = HERE, certificate: Certificate | None = None
) -> Iterator[Front]:
    """Pass on what comes in at a free port of a host to a port, and back."""
    context = None
    if certificate:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate.file, certificate.key)
        context.set_alpn_protocols(["h2"])
    heard = bytearray()

    async def copy(source: asyncio.StreamReader, to: asyncio.StreamWriter, *, note=None) -> None:
        with closing(to), suppress(OSError):
            while data := await source.read(1 << 16):
                if note is not None:
                    note.extend(data)
                to.write(data)
                await to.drain()

    async def pass_on(source: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        answers, to = await asyncio.open_connection(HERE, port)
        await asyncio.gather(copy(source, to, note=heard), copy(answers, back))

    loop = asyncio.new_event_loop()
    # A client that does not trust a certificate is no failure here.
    loop.set_exception_handler(lambda *_: None)
    server = loop.run_until_complete(asyncio.start_server(pass_on, host, 0, ssl=context))
    thread = Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield Front(server.sockets[0].getsockname()[1], heard)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        server.close()
