"""How Spark is set for the size of the data: known before its JVM starts, and not changed after."""

import os
from collections.abc import Iterable
from pathlib import Path

from sparkify.events import size_of
from sparkify.settings import Settings

# Below the first a run takes longer to generate code than to do without, below the second only what
# reads every row does not, and it takes longer to optimize it.
TINY_BYTES, SMALL_BYTES = 15_000_000, 200_000_000
COMPRESSED = (".gz", ".bz2", ".zst", ".parquet", ".parq", ".pq")
# How many bytes of JSON a byte of these holds, and what a simulated user writes.
RATIO, USER_BYTES = 8, 550_000
TINY = {"SPARKIFY_CODEGEN": "NO_CODEGEN", "SPARKIFY_JAVA_OPTIONS": "-XX:TieredStopAtLevel=1"}
SMALL = TINY | {"SPARKIFY_CODEGEN": "ROWS"}
LARGE = {"SPARKIFY_CODEGEN": "FALLBACK", "SPARKIFY_JAVA_OPTIONS": ""}


def set_engine(size: int) -> None:
    """Choose for `size` bytes of JSON; what the environment says already stays."""
    chosen = TINY if size < TINY_BYTES else SMALL if size < SMALL_BYTES else LARGE
    for name, value in chosen.items():
        os.environ.setdefault(name, value)


def size_of_files(files: Iterable[Path]) -> int:
    """The bytes of JSON that files hold, roughly."""
    return sum(
        size_of(file) * (RATIO if file.name.lower().endswith(COMPRESSED) else 1) for file in files
    )


def size_of_tables(settings: Settings) -> int:
    """The bytes of JSON that the tables came from, roughly; many, where they are elsewhere."""
    folder = settings.local_warehouse
    return SMALL_BYTES if folder is None else size_of_files(folder.rglob("*.parquet"))
