"""How Spark is set for the size of the data: known before its JVM starts, and not changed after."""

import os
from collections.abc import Iterable
from pathlib import Path

from sparkify.settings import Settings

# Below it a run takes longer to generate and optimize code than to do without.
SMALL_BYTES = 200_000_000
COMPRESSED = (".gz", ".bz2", ".zst", ".parquet", ".parq", ".pq")
# How many bytes of JSON a byte of these holds, and what a simulated user writes.
RATIO, USER_BYTES = 8, 550_000
SMALL = {"SPARKIFY_CODEGEN": "NO_CODEGEN", "SPARKIFY_JAVA_OPTIONS": "-XX:TieredStopAtLevel=1"}
LARGE = {"SPARKIFY_CODEGEN": "FALLBACK", "SPARKIFY_JAVA_OPTIONS": "-XX:-DontCompileHugeMethods"}


def set_engine(size: int) -> None:
    """Choose for `size` bytes of JSON; what the environment says already stays."""
    for name, value in (SMALL if size < SMALL_BYTES else LARGE).items():
        os.environ.setdefault(name, value)


def size_of_files(files: Iterable[Path]) -> int:
    """The bytes of JSON that files hold, roughly."""
    return sum(
        file.stat().st_size * (RATIO if file.name.lower().endswith(COMPRESSED) else 1)
        for file in files
    )


def size_of_tables(settings: Settings) -> int:
    """The bytes of JSON that the tables of this home came from, roughly."""
    return size_of_files((settings.home / "warehouse").rglob("*.parquet"))
