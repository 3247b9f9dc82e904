"""What `sparkify checks` does: how the checks stand, and what the last run changed."""

import pandas as pd
from pyspark.sql import SparkSession

from sparkify.errors import BadInput
from sparkify.formatting import plural
from sparkify.ledger import (
    BAD,
    KEY,
    LEDGER,
    NOTHING_YET,
    find_runs,
    found_instead,
    how_many_passed,
    not_built,
    shown_runs,
    standing,
    untested,
)
from sparkify.session import open_session
from sparkify.settings import Settings
from sparkify.terminal import line, table


def checks_command(settings: Settings) -> None:
    """What `sparkify checks` does: see `show_checks`."""
    show_checks(open_session(settings), settings)


def show_checks(spark: SparkSession, settings: Settings) -> None:
    """Print how each check stands, where it did not pass, and what the last run changed of it.

    A run is one that made checks; what changed since without any is told of in a line.

    Raises:
        BadInput: nothing has been checked yet.
    """
    name = settings.table(LEDGER)
    if not spark.catalog.tableExists(name):
        raise BadInput(NOTHING_YET)
    runs = find_runs(spark, name)
    checked = runs[~runs["is_bare"]]
    if checked.empty:
        raise BadInput(NOTHING_YET)
    last, before = (standing(spark, name, checked.iloc[i:]) for i in (0, 1))
    show_standing(last, runs=shown_runs(checked))
    if len(checked) > 1:
        show_changes(last, before, began=checked["began"].iloc[1])
    for said in (untested(spark, settings, last), not_built(spark, name, runs)):
        if said:
            line(said)


def show_standing(checks: pd.DataFrame, *, runs: pd.DataFrame) -> None:
    """Counts by tool and layer, then each check that did not pass.

    runs: in which they were made, the last first.
    """
    since = "of the run of" if len(runs) == 1 else "since the build of"
    counts = checks.groupby(["tool", "layer"], sort=False)["status"].value_counts().unstack()
    counts = counts.reindex(columns=["pass", *BAD]).fillna(0).astype(int)
    table(
        f"Checks {since} {runs['began'].iloc[-1]:%Y-%m-%d %H:%M:%S} UTC",
        {"tool": "left", "layer": "left"} | dict.fromkeys(counts.columns, "right"),
        [(*key, *row) for key, row in zip(counts.index, counts.to_numpy().tolist(), strict=True)],
    )
    bad = checks[checks["status"].isin(BAD)]
    if bad.empty:
        line()
        line(f"{how_many_passed(checks)}.")
        return
    table(
        "Not passed",
        {"table": "left", "check": "left", "status": "left", "found": "left"},
        [
            (row.table_name or "", row.check_name, row.status, found_instead(row))
            for row in bad.itertuples()
        ],
    )


def show_changes(last: pd.DataFrame, before: pd.DataFrame, *, began: pd.Timestamp) -> None:
    """Checks that pass no more or again, that are new or gone, and tables that grew or shrank."""
    both = before.merge(last, on=KEY, how="outer", suffixes=("_before", "_now"), indicator=True)
    made = both[both["_merge"] == "both"]
    rows = [
        (row.table_name or "", row.check_name, row.status_before, row.status_now)
        for row in made[made["status_before"] != made["status_now"]].itertuples()
    ]
    sizes = made.groupby("table_name")[["row_count_before", "row_count_now"]].max().dropna()
    rows += [
        (row.Index, "rows", f"{row.row_count_before:,.0f}", f"{row.row_count_now:,.0f}")
        for row in sizes[sizes["row_count_before"] != sizes["row_count_now"]].itertuples()
    ]
    title = f"since the run of {began:%Y-%m-%d %H:%M:%S} UTC"
    if rows:
        table(
            f"Changed {title}",
            {"table": "left", "check": "left", "before": "right", "now": "right"},
            rows,
        )
    elif len(made):
        line(f"Nothing changed {title}.")
    counts = both["_merge"].value_counts()
    if counts["left_only"] or counts["right_only"]:
        new, gone = (plural(counts[side], "check") for side in ("right_only", "left_only"))
        line(f"Made in this run and not in that one: {new}; in that one and not in this: {gone}.")
