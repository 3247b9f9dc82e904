"""Files: newline-delimited JSON by day, the truth beside it."""

from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sparkify.simulator.behaviour import Life
from sparkify.simulator.catalogue import as_json, songs
from sparkify.simulator.events import ANONYMOUS, KINDS, Rows
from sparkify.simulator.people import DAY_S, Profile

LEVELS = ("free", "paid")  # by the code of a level


def write_events(
    lives: list[Life], rows: list[Rows], *, out: Path, part: int, start: date, days: int
) -> None:
    """Write one file a day, sorted by ts, the fields in the order of the real files."""
    columns = {
        name: np.concatenate([getattr(user_rows, name) for user_rows in rows])
        for name in Rows.__dataclass_fields__
    }
    columns["user"] = np.repeat(np.arange(len(rows)), [len(user_rows.ts_s) for user_rows in rows])
    order = np.argsort(columns["ts_s"], kind="stable")
    columns = {name: values[order] for name, values in columns.items()}
    # The last entry is nobody: rows of visitors who are not logged in.
    ids = [life.profile.user_id for life in lives] + [""]
    heads = pa.array([f',"userId":"{user_id}","sessionId":' for user_id in ids])
    tails = pa.array([_person(life.profile) for life in lives] + [""])
    midnights = ((start - date(1970, 1, 1)).days + np.arange(days + 1)) * DAY_S
    bounds = np.searchsorted(columns["ts_s"], midnights)
    for day, (begin, end) in enumerate(pairwise(bounds.tolist())):
        if begin == end:
            continue
        folder = out / f"date={start + timedelta(day)}"
        folder.mkdir(parents=True, exist_ok=True)
        of_day = {name: values[begin:end] for name, values in columns.items()}
        (folder / f"part-{part:05d}.json").write_bytes(_lines(of_day, heads, tails))


def _lines(columns: dict[str, np.ndarray], heads: pa.Array, tails: pa.Array) -> memoryview:
    """Join prepared fragments: no person, page or song is encoded more than once."""
    person = pa.array(np.where(ANONYMOUS[columns["kind"]], len(heads) - 1, columns["user"]))
    pages = pa.array([_page(kind, level) for kind in KINDS for level in LEVELS])
    page = pa.array(columns["kind"].astype(int) * len(LEVELS) + columns["level"])
    song = columns["song"]
    lines = pc.binary_join_element_wise(
        '{"ts":',
        _text(columns["ts_s"]),
        "000",
        heads.take(person),
        _text(columns["session_id"]),
        pages.take(page),
        _text(columns["item"]),
        tails.take(person),
        pa.array(np.where(song >= 0, songs().json_tails[song], "}"), pa.string()),
        "\n",
        "",
    )
    # The buffer of a text column is its values end to end: the file, as it stands.
    return memoryview(lines.buffers()[2])


def _text(values: np.ndarray) -> pa.Array:
    return pa.array(values).cast(pa.string())


def _page(kind: tuple[str, str, str, int], level: str) -> str:
    page, auth, method, status = kind
    return (
        f',"page":"{page}","auth":"{auth}","method":"{method}","status":{status},'
        f'"level":"{level}","itemInSession":'
    )


def _person(profile: Profile) -> str:
    return (
        f',"location":{as_json(profile.location)},"userAgent":{as_json(profile.user_agent)},'
        f'"lastName":{as_json(profile.last_name)},"firstName":{as_json(profile.first_name)},'
        f'"registration":{profile.registered_s}000,"gender":"{profile.gender}"'
    )


def write_truth(table: pd.DataFrame, *, folder: Path, part: int) -> None:
    """Write one Parquet file of a truth table."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = pa.Table.from_pandas(table, preserve_index=False)
    pq.write_table(rows, folder / f"part-{part:05d}.parquet")
