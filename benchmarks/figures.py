"""What benchmarks measured the last time, in SPARKIFY_HOME/bench."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from sparkify.settings import Settings


def by_size(
    benchmark: str,
    users: Sequence[str],
    measure: Callable[[int], dict],
    tell: Callable[[str, dict], None],
) -> dict[str, dict]:
    """The figures of each number of users, told beside those of the last time, and kept."""
    before, found = last_time(benchmark), {}
    for size in users or ("225", "2000"):
        found[size] = measure(int(size))
        tell(size, found[size])
        if size in before:
            print("the last time:")
            tell(size, before[size])
    keep(benchmark, found)
    return found


def last_time(benchmark: str) -> dict:
    """The figures of a benchmark by size; none before its first run."""
    kept = file_of(benchmark)
    return json.loads(kept.read_text()) if kept.exists() else {}


def keep(benchmark: str, found: dict) -> None:
    """Keep figures by size, beside those of other sizes."""
    kept, all_sizes = file_of(benchmark), last_time(benchmark) | found
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_text(json.dumps(all_sizes, indent=2))


def file_of(benchmark: str) -> Path:
    return Settings.from_environment().home / "bench" / f"{benchmark}.json"
