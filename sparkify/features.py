"""What _features.yml says of features: their bounds and units, and how they are told."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

import yaml

from sparkify.formatting import plural
from sparkify.settings import PROJECT

DESCRIBED = PROJECT / "models" / "marts" / "features" / "_features.yml"
WINDOW = re.compile(r"_(\d+)d(?=_|$)")
# Keys of `meta` that are not of the sentence.
OTHER_KEYS = {"unit", "core", "label", "minimum", "maximum"}


@dataclass(frozen=True)
class Bounds:
    """The least and most that a feature can be, None without such, and whether it may be null."""

    minimum: float | None
    maximum: float | None
    is_nullable: bool


def wording_of(columns: Iterable[str]) -> dict:
    """By column, its `ml.wording.Wording`; columns that none is described for are left out.

    A column of other windows than the described ones is told as they are: {days} and {of_days} in a
    sentence are the windows in the column's own name.

    Raises:
        ValueError: a sentence has no place for a value, or one that is not known.
    """
    from ml.wording import Wording

    found = {}
    for name in columns:
        meta = _meta(name)
        if not meta:
            continue
        windows = [plural(int(days), "day") for days in WINDOW.findall(name)]
        places = dict(zip(("{days}", "{of_days}"), windows, strict=False))
        values = {key: value for key, value in meta.items() if key not in OTHER_KEYS}
        for key in ("reason", "reason_if_null"):
            for place, days in places.items():
                if key in values:
                    values[key] = values[key].replace(place, days)
        found[name] = Wording(**values)
    return found


def bounds_of(columns: Iterable[str]) -> dict[str, Bounds]:
    """By column, what it is declared to lie between; columns that have no unit are left out.

    A maximum of `days` is the first window in the column's own name.
    """
    found = {}
    for name in columns:
        meta = _meta(name)
        if "unit" in meta:
            maximum = meta.get("maximum")
            if maximum == "days":
                maximum = int(WINDOW.findall(name)[0])
            found[name] = Bounds(meta.get("minimum"), maximum, "reason_if_null" in meta)
    return found


def axis_of(column: str) -> str:
    """A feature's label with its unit, such as `listening time, 7 days (seconds)`."""
    label, unit = label_of(column), _meta(column).get("unit", "")
    # The days of a window are no unit of what is counted in it.
    counted = label.rsplit(", ", 1)[0] if WINDOW.search(column) else label
    return label if re.search(rf"\b{re.escape(unit)}\b", counted) else f"{label} ({unit})"


def label_of(column: str) -> str:
    """A feature's declared label, or its name in words, such as `thumbs down per song, 28 days`."""
    windows = WINDOW.findall(column)
    words = WINDOW.sub("", column).removeprefix("is_").replace("_", " ").strip()
    words = _meta(column).get("label", words)
    days = " over ".join(windows)
    return f"{words}, {days} day{'s' if days != '1' else ''}" if windows else words


def core_of(columns: Iterable[str]) -> tuple[str, ...]:
    """Those of the columns that are declared as the few that little data is enough for."""
    return tuple(name for name in columns if _meta(name).get("core", False))


def _meta(column: str) -> dict:
    """What is declared of a feature, whatever its windows; nothing of another column."""
    return _described().get(WINDOW.sub("_#d", column), {})


@cache
def _described() -> dict[str, dict]:
    """The `meta` of every feature, by its name with each window as #."""
    models = yaml.safe_load(DESCRIBED.read_text())["models"]
    return {
        WINDOW.sub("_#d", column["name"]): column["config"]["meta"]
        for model in models
        for column in model["columns"]
        if "family" in column.get("config", {}).get("meta", {})
    }
