"""What a training leaves behind, as rows to append to SQL tables."""

import numpy as np
import pandas as pd

from ml.training import TrainingResult


def out_of_fold_table(result: TrainingResult, *, run_id: str) -> pd.DataFrame:
    """What each learner said, by a model that never saw the user, of what the stack is fitted on.

    Columns: user_id, as_of_date (null for a table without dates), model, fold, probability, label,
    run_id. They are what the stack was fitted on, so no test of it: that is `backtest_table`.
    """
    keys = ["user", "time", "y", "fold"]
    wide = result.out_of_fold
    wide = wide if "time" in wide else wide.assign(time=None)
    long = wide.melt(keys, var_name="model", value_name="log_odds")
    return pd.DataFrame(
        {
            "user_id": long["user"].astype(str),
            "as_of_date": _dates(long["time"]),
            "model": long["model"],
            "fold": long["fold"].astype(int),
            "probability": 1 / (1 + np.exp(-long["log_odds"])),
            "label": long["y"].astype(int),
            "run_id": run_id,
        }
    )


def backtest_table(result: TrainingResult, *, run_id: str) -> pd.DataFrame:
    """What every candidate said of every row tested, known only what was known at its origin.

    Columns: user_id, as_of_date, model, origin (the date, or the fold of users, predicted),
    probability, label, is_flagged, is_paid (may be null), run_id.
    """
    rows = result.backtest
    return pd.DataFrame(
        {
            "user_id": rows["user"].astype(str),
            "as_of_date": _dates(rows["time"]),
            "model": rows["candidate"],
            "origin": rows["origin"],
            "probability": rows["p"],
            "label": rows["y"].astype(int),
            "is_flagged": rows["flagged"].astype(bool),
            "is_paid": rows["is_paid"].astype(object).where(rows["is_paid"].notna(), None),
            "run_id": run_id,
        }
    )


def weights_table(result: TrainingResult, *, run_id: str) -> pd.DataFrame:
    """The stack, readable: model, weight on its log-odds, and share of all weights.

    The intercept has no share: None. Columns: model, weight, share, run_id.
    """
    weights = pd.Series(result.meta_weights, name="weight")
    learners = weights.drop("intercept")
    share = learners / learners.sum() if learners.sum() > 0 else learners
    table = pd.DataFrame({"weight": weights, "share": share}).loc[weights.index]
    table["share"] = table["share"].astype(object).where(table["share"].notna(), None)
    return table.rename_axis("model").reset_index().assign(run_id=run_id)


def _dates(times: pd.Series) -> pd.Series:
    """Dates as Python objects, so that a null stays one."""
    found = pd.to_datetime(times).dt.date
    return found.astype(object).where(times.notna(), None)
