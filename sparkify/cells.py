"""A cell of a result as JSON, CSV or a person has it."""

import datetime as dt
import json
import math
from collections.abc import Iterable
from decimal import Decimal

import pyarrow as pa

from sparkify.formatting import digits


def flat(cell: object) -> object:
    """A cell as CSV has it."""
    if isinstance(cell, float) and math.isnan(cell):
        return None
    if isinstance(cell, list | dict):
        return json.dumps(plain(cell))
    return cell.hex() if isinstance(cell, bytes) else cell


def rows_of(rows: pa.Table) -> Iterable[tuple]:
    """The rows as Python has them: integers stay integers beside nulls; times are UTC."""
    columns = [
        map(without_zone, column.to_pylist(maps_as_pydicts="lossy")) for column in rows.columns
    ]
    return zip(*columns, strict=True)


def without_zone(cell: object) -> object:
    """A time without its zone, which is UTC; anything else as it is."""
    return cell.replace(tzinfo=None) if isinstance(cell, dt.datetime) else cell


def is_number(kind: pa.DataType) -> bool:
    """Whether a column holds numbers."""
    return pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)


def plain(cell: object) -> object:
    """A cell as JSON has it: dates and times as ISO 8601, bytes in hex, null for NaN.

    A decimal of more digits than a float has is a text.
    """
    if isinstance(cell, dict):
        return {str(name): plain(value) for name, value in cell.items()}
    if isinstance(cell, list | tuple):
        return [plain(value) for value in cell]
    if isinstance(cell, float | Decimal):
        number = float(cell) if math.isfinite(cell) else None
        # A number of JSON's readers has no more digits than a float.
        is_same = isinstance(cell, float) or number is None or Decimal(repr(number)) == cell
        return number if is_same else str(cell)
    if isinstance(cell, bytes):
        return cell.hex()
    if isinstance(cell, dt.date | dt.time):
        return cell.isoformat()
    return cell if cell is None or isinstance(cell, str | int) else str(cell)


def show(cell: object) -> str:
    """A cell as a person reads it."""
    if cell is None or cell != cell:  # only NaN is not itself
        return "–"
    if isinstance(cell, dt.datetime):
        return f"{cell:%Y-%m-%d %H:%M:%S}"
    if not isinstance(cell, float):
        return str(cell)
    # What is not zero does not look like it.
    return digits(cell, 2) if 0 < abs(cell) < 0.00005 else f"{cell:.4f}"
