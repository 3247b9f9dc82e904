"""The values of a chart as a table, for who cannot point at a mark: what its tooltips tell."""

import re
from dataclasses import dataclass

import numpy as np
import pandas as pd

from sparkify.formatting import digits, rounded
from sparkify.report.words import day

# More rows of a curve say no more, and make the page large.
MOST = 48


@dataclass(frozen=True)
class Values:
    """Rows of texts under columns; count: of the rows there are, of which these are some."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    count: int


def values_of(spec: dict) -> Values:
    """What the tooltips of a chart tell, as Vega-Lite has it; of many rows some, evenly apart.

    Raises:
        StopIteration: the chart has no tooltips.
    """
    layers = spec.get("layer", [spec])
    layer = next(each for each in layers if "tooltip" in each["encoding"])
    told = layer["encoding"]["tooltip"]
    rows = spec["datasets"][layer.get("data", spec.get("data"))["name"]]
    chosen = np.unique(np.linspace(0, len(rows) - 1, min(MOST, len(rows))).astype(int))
    return Values(
        columns=tuple(each.get("title", each["field"]) for each in told),
        rows=tuple(tuple(_text(rows[at][each["field"]], each) for each in told) for at in chosen),
        count=len(rows),
    )


def _text(value: object, told: dict) -> str:
    """A value as a tooltip with its type, and D3's format if it has one, tells it."""
    form = told.get("format", "")
    if pd.isna(value):
        return "–"
    if told["type"] == "temporal":
        return day(pd.Timestamp(value))
    if told["type"] != "quantitative":
        return str(value)
    if form.endswith("r") or not (form or float(value).is_integer()):
        return digits(value, 3)
    decimals = int(next(iter(re.findall(r"\.(\d+)", form)), 0))
    if form.endswith("%"):
        return f"{rounded(100 * value, decimals)}\u00a0%"
    return rounded(value, decimals)
