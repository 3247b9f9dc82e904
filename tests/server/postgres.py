"""A PostgreSQL server of this machine for tests, from Debian's packages, behind passwords."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.server.debian import install
from tests.server.serving import free_ports

PACKAGE = "postgresql"
USER, PASSWORD = "hive_of_tests", "open-sesame-7"
ADMIN, ADMIN_PASSWORD = "admin", "only-for-tests"


@dataclass(frozen=True)
class Postgres:
    """psql: the program. port: of the server, on loopback."""

    psql: Path
    port: int

    def url(self, database: str) -> str:
        return f"jdbc:postgresql://127.0.0.1:{self.port}/{database}"

    def run(self, statement: str, database: str = "postgres") -> str:
        """What a statement of the administrator's gives, without headings."""
        place = ("-h", "127.0.0.1", "-p", str(self.port), "-U", ADMIN, "-d", database)
        return subprocess.run(
            [self.psql, *place, "-v", "ON_ERROR_STOP=1", "-Atc", statement],
            env=os.environ | {"PGPASSWORD": ADMIN_PASSWORD},
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()


@contextmanager
def postgres() -> Iterator[Postgres]:
    """Start a server of its own, and end it; skips the test where none can be had."""
    if not find():
        install(PACKAGE)
    programs = find()
    if not programs:
        pytest.skip(f"no PostgreSQL: install the package {PACKAGE}")
    with TemporaryDirectory() as folder:
        yield from started(programs, Path(folder))


def started(programs: Path, folder: Path) -> Iterator[Postgres]:
    (port,) = free_ports(1)
    data, secret = folder / "data", folder / "secret"
    secret.write_text(ADMIN_PASSWORD)
    # It refuses to run for root; for that Debian's package brings a user along.
    unprivileged = {}
    if os.geteuid() == 0:
        unprivileged = {"user": "postgres", "group": "postgres", "extra_groups": []}
        for each in (folder, secret):
            shutil.chown(each, "postgres", "postgres")
    quiet = {"check": True, "stdout": subprocess.DEVNULL, "cwd": "/", **unprivileged}
    login = ("-A", "scram-sha-256", "-U", ADMIN, f"--pwfile={secret}")
    subprocess.run([programs / "initdb", "-D", data, "--no-sync", *login], **quiet)
    control = (programs / "pg_ctl", "-D", data, "-w")
    options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"
    subprocess.run([*control, "-l", folder / "log", "-o", options, "start"], **quiet)
    try:
        yield Postgres(programs / "psql", port)
    finally:
        subprocess.run([*control, "-m", "immediate", "stop"], **quiet)


def find() -> Path | None:
    """The folder of the newest programs."""
    found = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    return max(
        (each.parent for each in found), key=lambda each: float(each.parts[-2]), default=None
    )
