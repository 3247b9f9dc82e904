"""What benchmarks measured the last time, in SPARKIFY_HOME/bench."""

import json
from pathlib import Path

from sparkify.settings import Settings


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
