"""Simulate the event log of a music-streaming service, with the truth beside it."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from sparkify.errors import BadInput, WrongUse
from sparkify.events import SIMULATION
from sparkify.simulator.behaviour import Life, churn_probability, live
from sparkify.simulator.events import Rows, rows_of
from sparkify.simulator.people import DAY_S
from sparkify.simulator.worlds import WORLDS
from sparkify.simulator.writing import write_events, write_truth
from sparkify.spreadsheet import check_place

USERS_PER_PART = 1024
HORIZON_DAYS = 14
SNAPSHOT = {
    "user_id": "str",
    "as_of_date": "object",
    "probability": "float64",
    "is_churned_next_14d": "boolean",
}


@dataclass(frozen=True)
class SimulationSummary:
    """What was written."""

    users: int
    rows: int
    churners: int


@dataclass(frozen=True)
class _Period:
    users: int
    seed: int
    start: date
    days: int
    users_per_part: int
    world: str

    @property
    def start_s(self) -> int:
        return (self.start - date(1970, 1, 1)).days * DAY_S


def simulate(
    spark: SparkSession,
    *,
    users: int,
    seed: int,
    out: Path,
    start: date = date(2018, 10, 1),
    days: int = 63,
    world: str = "usual",
) -> SimulationSummary:
    """Write `out/events`, `out/truth/daily_hazard` and `out/truth/snapshots`; return the counts.

    The same seed, number of users and world (a name in `worlds.WORLDS`) give the same rows at any
    parallelism. An earlier simulation in `out` is replaced when the new one is whole; until then it
    stays as it is.

    Raises:
        WrongUse: users, seed or days out of range, or an unknown world.
        BadInput: `out` cannot be written, or holds something that is not a simulation.
    """
    _check(users=users, seed=seed, days=days, world=world)
    out = usable(out)
    period = _Period(users, seed, start, days, USERS_PER_PART, world)
    partial_out = out.with_name(f".{out.name}.partial")
    shutil.rmtree(partial_out, ignore_errors=True)
    partial_out.mkdir()
    try:
        parts = -(-users // USERS_PER_PART)
        write = partial(_write_parts, period=period, out=partial_out)
        written = (
            spark.range(0, parts, 1, parts)
            .mapInArrow(write, "rows long, churners long")
            .agg(F.sum("rows"), F.sum("churners"))
            .first()
        )
        summary = SimulationSummary(users, *written)
        about = {**asdict(summary), "seed": seed, "start": str(start), "days": days, "world": world}
        (partial_out / SIMULATION).write_text(json.dumps(about) + "\n")
        _replace(out, by=partial_out)
    finally:
        shutil.rmtree(partial_out, ignore_errors=True)
    return summary


def _check(*, users: int, seed: int, days: int, world: str) -> None:
    for name, value, least in (("users", users, 1), ("seed", seed, 0), ("days", days, 1)):
        if value < least:
            raise WrongUse(f"{name} is {value}; give a whole number of at least {least}")
    if world not in WORLDS:
        raise WrongUse(f"world is {world}; choose among {', '.join(WORLDS)}")


def usable(out: Path) -> Path:
    """The absolute path of a folder that may be written; needs no Spark.

    Raises:
        BadInput: it is a file, holds something else, or cannot be written.
    """
    out = Path(out).absolute()
    if out.exists() and not out.is_dir():
        raise BadInput(f"{out} is a file; name a folder to write the simulation into")
    if out.is_dir() and any(out.iterdir()) and not (out / SIMULATION).is_file():
        raise BadInput(f"{out} holds files that no simulation wrote; name an empty or a new folder")
    check_place(out)
    return out


def _replace(out: Path, *, by: Path) -> None:
    old = out.with_name(f".{out.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if out.exists():
        out.rename(old)
    by.rename(out)
    shutil.rmtree(old, ignore_errors=True)


def _write_parts(
    batches: Iterator[pa.RecordBatch], *, period: _Period, out: Path
) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        for part in batch.column(0).to_pylist():
            counts = _write_part(part, period=period, out=out)
            yield pa.RecordBatch.from_pydict({k: [v] for k, v in counts.items()})


def _write_part(part: int, *, period: _Period, out: Path) -> dict[str, int]:
    lives: list[Life] = []
    rows: list[Rows] = []
    end_s = period.start_s + period.days * DAY_S
    first, world = part * period.users_per_part, WORLDS[period.world]
    for index in range(first, min(first + period.users_per_part, period.users)):
        rng = np.random.default_rng([index, period.seed])
        life = live(rng, world, index=index, start_s=period.start_s, days=period.days)
        lives.append(life)
        rows.append(
            rows_of(rng, life, users=period.users, index=index, start_s=period.start_s, end_s=end_s)
        )
    write_events(lives, rows, out=out / "events", part=part, start=period.start, days=period.days)
    write_truth(_hazards(lives, period), folder=out / "truth" / "daily_hazard", part=part)
    write_truth(_snapshots(lives, period), folder=out / "truth" / "snapshots", part=part)
    return {
        "rows": sum(len(r.ts_s) for r in rows),
        "churners": sum(life.cancelled_s is not None for life in lives),
    }


def _hazards(lives: list[Life], period: _Period) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "user_id": np.repeat(
                [life.profile.user_id for life in lives], [len(life.hazard) for life in lives]
            ),
            "date": [
                period.start + timedelta(life.first_day + i)
                for life in lives
                for i in range(len(life.hazard))
            ],
            "hazard": np.concatenate([life.hazard for life in lives]),
        }
    )


def _snapshots(lives: list[Life], period: _Period) -> pd.DataFrame:
    """One row a user and Monday: those registered, and not yet gone, at its midnight."""
    tables = [pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in SNAPSHOT.items()})]
    for day in range(7 - period.start.weekday() % 7, period.days, 7):
        if day < 7:
            continue
        present = [o for o in lives if o.first_day <= day and not o.has_left_before(day)]
        if not present:
            continue
        is_observed = day + HORIZON_DAYS <= period.days
        leaves = [o.has_left_before(day + HORIZON_DAYS) if is_observed else None for o in present]
        table = {
            "user_id": [life.profile.user_id for life in present],
            "as_of_date": period.start + timedelta(day),
            "probability": churn_probability(present, day=day, horizon=HORIZON_DAYS),
            "is_churned_next_14d": leaves,
        }
        tables.append(pd.DataFrame(table).astype(SNAPSHOT))
    return pd.concat(tables)
