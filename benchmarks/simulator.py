"""How fast the simulator is, and how far from reality.

python -m benchmarks.simulator; the comparison needs SPARKIFY_REAL_DATA.
"""

import json
import os
import tempfile
import threading
import time
from datetime import date
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import psutil
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from sparkify.session import open_session
from sparkify.settings import Settings
from sparkify.simulator import simulate

MINI, FULL = 225, 22_278
SEEDS = range(1, 6)

# The aggregates of mini_225_users.csv; rates are per hour of listening sessions.
COUNTED = {
    "submit_downgrade": "Submit Downgrade",
    "thumbs_down": "Thumbs Down",
    "home": "Home",
    "downgrade": "Downgrade",
    "advert": "Roll Advert",
    "save_settings": "Save Settings",
    "about": "About",
    "settings": "Settings",
    "add_playlist": "Add to Playlist",
    "add_friend": "Add Friend",
    "next_song": "NextSong",
    "thumbs_up": "Thumbs Up",
    "help": "Help",
    "upgrade": "Upgrade",
    "error": "Error",
}
AGGREGATES = f"""
    with events as (
        select * from read_json($path, format = 'newline_delimited', columns = {{
            ts: 'bigint', userId: 'varchar', sessionId: 'varchar', page: 'varchar',
            method: 'varchar', status: 'int', level: 'varchar', gender: 'varchar', length: 'double'
        }}) where userId != '' and ts < epoch_ms(cast($until as timestamp))
    ),
    sessions as (
        select userId, count(*) as items, count(*) filter (page = 'NextSong') as songs,
            (max(ts) - min(ts)) / 3.6e6 as hours
        from events group by userId, sessionId
    ),
    lengths as (
        select userId, count(*) as session_count, avg(items) as avg_items_session,
            avg(songs) as avg_songs_session, sum(hours) as sum_session_length_hours,
            avg(hours) as avg_session_length_hours, nullif(sum(hours), 0) as hours
        from sessions group by userId
    ),
    users as (
        select userId, max(gender) as gender, count(*) as count_items, sum(length) as sum_length,
            max(cast(level = 'paid' as int)) as paid,
            max(cast(page = 'Cancellation Confirmation' as int)) as churn,
            {", ".join(f"count(*) filter (page = '{p}') as {n}_count" for n, p in COUNTED.items())},
            count(*) filter (page = 'Submit Upgrade') as submit_upgrade,
            count(*) filter (page not in ('NextSong', 'Cancellation Confirmation'))
                as non_song_interaction_count,
            count(*) filter (method = 'PUT' and status = 200) as PUT_200_count,
            count(*) filter (method = 'GET' and status = 200) as GET_200_count,
            count(*) filter (method = 'PUT' and status = 307) as PUT_307_count,
            (max(ts) - min(ts)) / 8.64e7 as tenure_days
        from events group by userId
    )
    select *, thumbs_up_count / nullif(thumbs_up_count + thumbs_down_count, 0) as thumbs_up_pct,
        count_items / hours as interaction_rate,
        {", ".join(f"{n}_count / hours as {n}_rate" for n in COUNTED)},
        non_song_interaction_count / hours as non_song_interaction_rate
    from users join lengths using (userId)
"""

TOTALS = """
    select
        count(*) as "rows",
        count(*) filter (userId = '') as "rows without a user",
        count(distinct nullif(userId, '')) as users,
        count(*) filter (page = 'Cancellation Confirmation') as "churned users",
        count(distinct (userId, sessionId)) filter (userId != '') as "pairs of user and session",
        count(*) filter (level = 'paid') as "rows of paid level",
        count(distinct artist) as artists,
        count(distinct song) as songs
    from read_json($path, format = 'newline_delimited', columns = {
        userId: 'varchar', sessionId: 'varchar', page: 'varchar', level: 'varchar',
        artist: 'varchar', song: 'varchar'
    })
"""
CANCELLED = """
    select ts from read_json($path, columns = {ts: 'bigint', page: 'varchar'})
    where page = 'Cancellation Confirmation'
"""


def main() -> None:
    """Print seconds, rows and memory at two sizes, then how simulated users differ from real."""
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["SPARKIFY_HOME"] = str(Path(scratch, "home"))
        spark = open_session(Settings.from_environment())
        logs = []
        for seed in SEEDS:
            logs.append(Path(scratch, f"log-{seed}"))
            started = time.perf_counter()
            rows = simulate(spark, users=MINI, seed=seed, out=logs[-1]).rows
            print(f"{MINI} users, {rows:,} events: {time.perf_counter() - started:.1f} s")
        if folder := os.environ.get("SPARKIFY_REAL_DATA"):
            compare(Path(folder), logs)
        else:
            print("SPARKIFY_REAL_DATA is not set: the comparison with real users is left out")
        with PeakMemory() as memory:
            started = time.perf_counter()
            written = simulate(spark, users=FULL, seed=1, out=Path(scratch, "full"))
            seconds = time.perf_counter() - started
        print(
            f"{FULL:,} users, {written.rows:,} events, {written.churners:,} churned: "
            f"{seconds:.0f} s, at most {memory.peak / 2**30:.1f} GiB in all processes"
        )


def compare(real_data: Path, logs: list[Path]) -> None:
    """Print totals, users' quantiles and the AUC of a classifier, simulated beside real."""
    real = pd.read_csv(real_data / "mini_225_users.csv")
    simulated = [aggregates(log) for log in logs]
    facts = json.loads((real_data / "mini_facts.json").read_text())
    quantiles = pd.read_csv(real_data / "user_level_quantiles_by_churn.csv")
    cancelled = pd.read_csv(real_data / "mini_52_cancellations.csv")["ts"]
    show_totals(facts, logs)
    show_quantiles(quantiles, pd.concat(simulated))
    show_pages(facts, logs)
    show_weeks(cancelled, logs)
    scores = [told_apart(real, table) for table in simulated]
    print(
        "\na classifier tells simulated from real users by ROC AUC "
        f"{np.mean(scores):.3f} ({', '.join(f'{score:.3f}' for score in scores)})"
    )


def show_totals(facts: dict, logs: list[Path]) -> None:
    """The totals of the mini set, then those of each simulation."""
    totals = [duckdb.execute(TOTALS, {"path": events(log)}).df().iloc[0] for log in logs]
    real = {
        "rows": facts["rows"],
        "rows without a user": facts["empty_userId_rows"],
        "users": facts["users_nonempty"],
        "churned users": facts["churn_users"],
        "pairs of user and session": facts["distinct"]["user_session_pairs"],
        "rows of paid level": facts["level_rows_all"]["paid"],
        "artists": facts["distinct"]["artist"],
        "songs": facts["distinct"]["song"],
    }
    print(f"\n{'total':<28}{'real':>9}  simulated, {len(logs)} seeds")
    for name, value in real.items():
        print(f"  {name:<26}{value:>9,} ", *(f"{int(total[name]):>8,}" for total in totals))


def show_quantiles(quantiles: pd.DataFrame, simulated: pd.DataFrame) -> None:
    """Quartiles of users' aggregates by churn: of the mini and the full set, and simulated."""
    print("\nusers' 25 %, 50 % and 75 % quantiles")
    heads = (f"{who:^27}" for who in ("real, mini set", "real, full set", "simulated"))
    print(f"  {'aggregate':<28}{'churn':<6}", *heads, sep="")
    wanted = quantiles.set_index(["ds", "feature", "churn"])[["q25", "q50", "q75"]]
    for name in quantiles["feature"].unique():
        for churn in (0, 1):
            values = simulated.loc[simulated["churn"] == churn, name]
            rows = [wanted.loc[which, name, churn] for which in ("mini", "full")]
            rows.append(values.quantile([0.25, 0.5, 0.75]))
            cells = (f"{value:>9,.{digits(value)}f}" for row in rows for value in row)
            print(f"  {'' if churn else name:<28}{churn:<6}", *cells, sep="")


def digits(value: float) -> int:
    """Decimals that leave about three figures."""
    return 0 if value >= 100 else 1 if value >= 10 else 3


def show_pages(facts: dict, logs: list[Path]) -> None:
    """Each page's share of all rows."""
    print("\npage: share of all rows in percent, real and simulated")
    found = pages(logs)
    for page, (count, *_) in facts["page_status_method_all_rows"].items():
        print(f"  {page:<26}{100 * count / facts['rows']:9.3f}{100 * found.get(page, 0):9.3f}")


def show_weeks(cancelled_ms: pd.Series, logs: list[Path]) -> None:
    """Cancellations by week of 2018, a row a set."""
    weeks = range(40, 49)
    found = [cancelled_ms] + [
        duckdb.execute(CANCELLED, {"path": events(e)}).df()["ts"] for e in logs
    ]
    counts = [
        pd.to_datetime(each, unit="ms").dt.isocalendar()["week"].value_counts() for each in found
    ]
    print(f"\n{'cancellations in week':<24}", *(f"{week:>4}" for week in weeks), " all", sep="")
    for name, each in zip(["real", *(f"seed {seed}" for seed in SEEDS)], counts, strict=True):
        cells = (f"{each.get(week, 0):>4}" for week in weeks)
        print(f"  {name:<22}", *cells, f"{each.sum():>4}", sep="")


def events(log: Path) -> str:
    """The files of a simulated log, as a pattern."""
    return str(log / "events" / "*" / "*.json")


def aggregates(log: Path, *, until: date = date.max) -> pd.DataFrame:
    """One row per user seen before `until`, with the columns of mini_225_users.csv."""
    # Threads add up in any order: the last digits would differ from call to call.
    return duckdb.execute(AGGREGATES, {"path": events(log), "until": until}).df().round(9)


def pages(logs: list[Path]) -> pd.Series:
    """Each page's share of all rows."""
    query = "select page from read_json($paths, columns = {page: 'varchar'})"
    found = duckdb.execute(query, {"paths": [events(log) for log in logs]}).df()
    return found["page"].value_counts(normalize=True)


def told_apart(real: pd.DataFrame, simulated: pd.DataFrame) -> float:
    """Cross-validated ROC AUC of gradient-boosted trees; .5 if the two are alike."""
    names = [name for name in real.columns if name != "userId"]
    both = pd.concat([real[names], simulated[names]]).assign(
        gender=lambda rows: (rows["gender"] == "M").astype(int)
    )
    is_simulated = np.repeat([0, 1], [len(real), len(simulated)])
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    model = GradientBoostingClassifier(random_state=0)
    scores = cross_val_predict(
        model, both.fillna(0), is_simulated, cv=folds, method="predict_proba"
    )
    return roc_auc_score(is_simulated, scores[:, 1])


class PeakMemory:
    """The most memory that this process and its children held at a time, sampled."""

    def __enter__(self) -> "PeakMemory":
        self.peak, self._ended = 0, threading.Event()
        self._watch = threading.Thread(target=self._sample)
        self._watch.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._watch.join()

    def _sample(self) -> None:
        me = psutil.Process()
        while not self._ended.wait(0.5):
            held = 0
            for process in (me, *me.children(recursive=True)):
                try:
                    held += process.memory_info().rss
                except psutil.NoSuchProcess:
                    continue
            self.peak = max(self.peak, held)


if __name__ == "__main__":
    main()
