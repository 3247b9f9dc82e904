"""Files: newline-delimited JSON by day, the truth beside it."""

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sparkify.simulator.behaviour import DAY_S, Life, Profile
from sparkify.simulator.catalogue import as_json, songs
from sparkify.simulator.events import ANONYMOUS, KINDS, Rows

LEVELS = ("free", "paid")


def write_events(lives: list[Life], rows: list[Rows], *, out: Path, part: int, start: date) -> None:
    """Write one file a day, sorted by ts, the fields in the order of the real files."""
    columns = {
        name: np.concatenate([getattr(r, name) for r in rows])
        for name in ("ts_s", "session_id", "kind", "level", "item", "song")
    }
    columns["user"] = np.repeat(np.arange(len(rows)), [len(r.ts_s) for r in rows])
    order = np.argsort(columns["ts_s"], kind="stable")
    columns = {name: values[order] for name, values in columns.items()}
    day = columns["ts_s"] // DAY_S
    heads = pa.array([f',"userId":"{life.profile.user_id}","sessionId":' for life in lives] + [EMPTY_ID])
    tails = pa.array([_person(life.profile) for life in lives] + [""])
    for begin, end in _runs(day):
        lines = _lines({name: values[begin:end] for name, values in columns.items()}, heads, tails)
        folder = out / "events" / f"date={date.fromtimestamp(0) + timedelta(int(day[begin]))}"
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / f"part-{part:05d}.json").open("wb") as file:
            file.write(lines)


EMPTY_ID = ',"userId":"","sessionId":'


def _lines(columns: dict[str, np.ndarray], heads: pa.Array, tails: pa.Array) -> memoryview:
    """Join prepared fragments, so that no row is encoded twice."""
    nobody = ANONYMOUS[columns["kind"]]
    person = pa.array(np.where(nobody, len(heads) - 1, columns["user"]))
    pages = pa.array([_page(kind, level) for kind in KINDS for level in LEVELS])
    song = columns["song"]
    endings = np.where(song >= 0, songs().json_tails[song], "}")
    lines = pc.binary_join_element_wise(
        '{"ts":',
        _text(columns["ts_s"]),
        "000",
        heads.take(person),
        _text(columns["session_id"]),
        pages.take(pa.array(columns["kind"].astype(int) * 2 + columns["level"])),
        _text(columns["item"]),
        tails.take(person),
        pa.array(endings, pa.string()),
        "\n",
        "",
    )
    first, last = lines.offset, lines.offset + len(lines)
    offsets = np.frombuffer(lines.buffers()[1], np.int32)
    return memoryview(lines.buffers()[2])[offsets[first] : offsets[last]]


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


def _runs(values: np.ndarray) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(values)) + 1
    bounds = [0, *edges.tolist(), len(values)]
    return list(zip(bounds[:-1], bounds[1:], strict=True)) if len(values) else []


def write_truth(table: pd.DataFrame, *, folder: Path, part: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pandas(table, preserve_index=False), folder / f"part-{part:05d}.parquet")
