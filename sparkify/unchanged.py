"""Whether anything changed since the last build that passed: then there is nothing to build."""

import hashlib
import json
import os
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

from sparkify.events import find_files, local_path
from sparkify.identity import key_digest
from sparkify.settings import PROJECT, Settings
from sparkify.sources import now

# What tables and their checks are made by.
CODE = ("dbt_project.yml", "models", "macros", "tests/dbt", "profiles", "expectations", "sparkify")
PACKAGES = ("pyspark", "dbt-core", "dbt-spark", "great-expectations")
KEPT = {".sql", ".py", ".yml", ".md"}


def inputs_of(settings: Settings, events: str) -> dict[str, str] | None:
    """A hash of each thing that a build is made from, by name; None where one cannot be known.

    A file of events counts by its path, size and modification time, as it does in the tables; what
    was given does too, for a bare `dbt run` looks there for new files.
    """
    own = {"DBT_PROJECT_DIR": str(PROJECT), "DBT_PROFILES_DIR": str(PROJECT / "profiles")}
    is_own = all(os.environ.get(name, place) == place for name, place in own.items())
    is_here = settings.target == "local" and "SPARK_REMOTE" not in os.environ
    # In a metastore that drivers share another may register and drop what it likes.
    is_here = is_here and settings.local_warehouse is not None and not settings.metastore_url
    path = local_path(events)
    if not (is_own and is_here) or path is None:
        return None
    found = find_files(path)
    files = [str(found.path), *((str(file), *times(file)) for file in found.files)]
    code = [(str(file), file.read_text()) for file in code_files()]
    places = [str(settings.home), str(settings.local_warehouse)]
    made_by = [*map(version, PACKAGES), settings.schema, dict(settings.overrides), key_digest()]
    return {"events": hashed(files), "code": hashed(code), "settings": hashed([*made_by, *places])}


def remember(settings: Settings, inputs: dict[str, str] | None, summary: dict) -> None:
    """Keep what a build that passed was made from, what it left, and what was said of it."""
    if inputs is not None:
        found = {"at": f"{now():%Y-%m-%d %H:%M} UTC", "summary": summary}
        found["inputs"] = inputs | {"tables": tables_of(settings)}
        record(settings).write_text(json.dumps(found))


def recall(settings: Settings, inputs: dict[str, str] | None) -> dict | None:
    """What was kept of the last build, if one now would be made from the same, and leave the same.

    Its tables count as they are: whoever wrote into one since, there is something to build.
    """
    kept = record(settings)
    if inputs is None or not kept.exists():
        return None
    try:
        found = json.loads(kept.read_text())
    except ValueError:
        return None
    return found if found["inputs"] == inputs | {"tables": tables_of(settings)} else None


def forget(settings: Settings) -> None:
    """Have the next build build: one that does not pass leaves nothing to rely on."""
    record(settings).unlink(missing_ok=True)


def record(settings: Settings) -> Path:
    """Where it is kept."""
    return settings.home / f"built-{settings.schema}.json"


def code_files() -> Iterator[Path]:
    """The files of the project that decide what a build does, in order."""
    for name in CODE:
        place = PROJECT / name
        found = sorted(place.rglob("*")) if place.is_dir() else [place]
        yield from (file for file in found if file.suffix in KEPT)


def tables_of(settings: Settings) -> str:
    """A hash of the version that each Delta table has, and of what else a command may change.

    That is the catalogue, which registered events, and what dbt did last.
    """
    logs = [
        max(((file.name, *times(file)) for file in folder.glob("*.json")), default=())
        for schema in (settings.schema, f"{settings.schema}_ml")
        for folder in sorted((settings.local_warehouse / f"{schema}.db").glob("*/_delta_log"))
    ]
    forms = settings.local_warehouse / f"{settings.schema}_raw.db" / "file_forms"
    registered = [(file.name, *times(file)) for file in sorted(forms.glob("*.parquet"))]
    # Derby writes down when it made a metastore: a new one knows no tables, though their files are
    # there. Views have no versions; dbt alone makes them.
    kept = settings.metastore / "service.properties", settings.home / "dbt" / "run_results.json"
    return hashed([logs, registered, *(file.read_text() for file in kept if file.exists())])


def times(file: Path) -> tuple[int, int]:
    """Size in bytes, and modification time in nanoseconds."""
    found = file.stat()
    return found.st_size, found.st_mtime_ns


def hashed(found: list) -> str:
    """One hash of whatever JSON can hold."""
    return hashlib.sha256(json.dumps(found).encode()).hexdigest()
