"""Whether the rows to score look like the rows to learn from, and which columns tell."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial, reduce

import numpy as np
import pandas as pd
from pyspark.ml import PipelineModel
from pyspark.ml.classification import RandomForestClassificationModel, RandomForestClassifier
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from ml import evaluation, preprocessing, protocol
from ml.errors import TableMismatch
from ml.preprocessing import FEATURES, Columns, quote
from ml.protocol import FOLD, LABEL, TWO_CLASSES
from ml.table_spec import nearest

NO_ROWS = "The table to be scored has no rows: nothing to compare with."
# A forest that tells the two sets of rows apart better than this has found more than a season:
# honest models of churn themselves reach no more.
SHIFTED_AUC = 0.65
# A column is named with this many times an even share of the importance.
TELLING = 1.5
# Two sets that differ are told apart on a part of the users as well.
SAMPLE_ROWS = 20_000
FOLDS, MAX_ROUNDS = 2, 6


@dataclass(frozen=True)
class Shift:
    """How far a classifier tells rows to score (1) from training rows (0).

    auc with its 95 % interval, for users it has not seen: .5 if the two are alike. columns: column,
    share (of the importance, 0 to 1), round (in which it was left out, null if never), the largest
    share first. unstable: those left out; auc_without: what the last round still reaches. past: by
    date of the backtest, the AUC that tells its rows from those that it was predicted from.
    """

    auc: float
    ci_low: float
    ci_high: float
    columns: pd.DataFrame
    unstable: tuple[str, ...]
    auc_without: float
    past: Mapping[str, float] = field(default_factory=dict)

    @property
    def is_unusual(self) -> bool:
        """Whether the rows to score differ by more than a season, and than any past date did."""
        return self.ci_low > _usual(self.past)

    @property
    def summary(self) -> str:
        """One sentence for a log."""
        told = f"ROC AUC {self.auc:.3f} ({self.ci_low:.3f} to {self.ci_high:.3f})"
        lived = ""
        if self.past:
            low, high = min(self.past.values()), max(self.past.values())
            lived = f"{low:.2f} to {high:.2f}" if f"{low:.2f}" != f"{high:.2f}" else f"{low:.2f}"
        if not self.is_unusual and self.ci_low > SHIFTED_AUC:
            return (
                f"A classifier tells rows to score from training rows by {told}, as it does the "
                f"dates of the backtest ({lived}): what was measured there lived through it."
            )
        if not self.is_unusual:
            return f"Rows to score look like training rows: a classifier tells them by {told}."
        shares = self.columns.set_index("column")["share"]
        shown = ", ".join(f"{name} ({shares[name]:.0%})" for name in self.unstable[:8])
        more = f" and {len(self.unstable) - 8} more" if len(self.unstable) > 8 else ""
        return (
            f"Rows to score differ from training rows: a classifier tells them by {told}, "
            f"mostly by {shown}{more}; without these by {self.auc_without:.3f}."
            + (f" It tells the dates of the backtest by {lived} only." if lived else "")
        )


def find_shift(
    training: DataFrame,
    scoring: DataFrame,
    columns: Columns,
    *,
    user: str,
    past: Sequence[tuple[str, DataFrame, DataFrame]] = (),
    rounds: int = MAX_ROUNDS,
    draws: int = 200,
    seed: int = 0,
) -> Shift:
    """Train a forest to tell the two tables apart, and name the columns by which it does.

    past: pairs of such tables by name, which differed as is usual, read as the two of now are.
    Dates differ by season and by how long users have been seen, so a model that was tested on
    other dates has met that.
    While the forest does better (the interval of its AUC lies above `SHIFTED_AUC` and above what it
    reaches in every pair of the past), every column with
    `TELLING` times an even share of its importance, or half as much as the first one, is left
    out, and it is trained again: columns
    that say the same share their importance, so one round would name too few. No more than
    `rounds` are made. Cross-validated by user, as a user may be in both tables. No label is read.
    The share of a column is that of the first round.
    Source: Lopez-Paz & Oquab (2017), classifier two-sample tests; Rabanser et al. (2019).

    Raises:
        TableMismatch: a column is missing in `scoring`, or it has no rows.
    """
    tell = partial(_tell_apart, user=user, draws=draws, seed=seed)
    rows = _both(training, scoring, columns, user=user).persist()
    try:
        current, reader = columns, preprocessing.fit_preparation(rows, columns, scaled=False)
        lived = {
            name: tell(_both(known, predicted, columns, user=user), columns, reader)[0][0]
            for name, known, predicted in past
        }
        intervals: list[tuple[float, float, float]] = []
        shares, left_out = None, {}
        for number in range(1, rounds + 1):
            interval, importance = tell(rows, current, reader)
            intervals.append(interval)
            shares = importance if shares is None else shares
            if interval[1] <= _usual(lived) or number == rounds:
                break
            telling = importance[importance > min(TELLING / len(importance), importance.max() / 2)]
            left_out |= dict.fromkeys(telling.index, number)
            current = preprocessing.leave_out(current, left_out, reason="gives the date away")
            if not current.features:
                break
            reader = preprocessing.fit_preparation(rows, current, scaled=False)
    finally:
        rows.unpersist()
    table = shares.rename("share").rename_axis("column").reset_index()
    table["round"] = table["column"].map(left_out).astype("Int64")
    unstable = tuple(table.loc[table["round"].notna(), "column"])
    return Shift(
        *intervals[0], table, unstable, intervals[-1][0] if current.features else 0.5, lived
    )


def _usual(past: Mapping[str, float]) -> float:
    """The AUC up to which two tables of different dates are alike."""
    return max(SHIFTED_AUC, *past.values()) if past else SHIFTED_AUC


def _both(training: DataFrame, scoring: DataFrame, columns: Columns, *, user: str) -> DataFrame:
    """The two tables, one below the other: user, ml__label (1 for a row to score), features."""
    check_scoring(scoring, columns, user=user)
    names = [user, *columns.names]
    parts = [
        part.selectExpr(*map(quote, names)).withColumn(LABEL, F.lit(label))
        for part, label in ((training, 0.0), (scoring, 1.0))
    ]
    rows = parts[0].unionByName(parts[1])
    counts = {row[LABEL]: row["count"] for row in rows.groupBy(LABEL).count().collect()}
    if not counts.get(1.0):
        raise TableMismatch(NO_ROWS)
    count = sum(counts.values())
    if count > SAMPLE_ROWS:
        # Each side by itself: of a few rows to score all are kept.
        of_side = F.when(F.col(LABEL) == 1.0, counts[1.0]).otherwise(counts.get(0.0, 1))
        rows = rows.filter(F.pmod(F.xxhash64(quote(user)), of_side) < SAMPLE_ROWS // 2)
    return protocol.compact(rows, keys=names[:8], count=min(count, SAMPLE_ROWS))


def check_scoring(scoring: DataFrame, columns: Columns, *, user: str) -> None:
    """Raise TableMismatch if the table to be scored lacks a column."""
    missing = [name for name in (user, *columns.names) if name not in scoring.columns]
    if missing:
        near = {name: nearest(name, scoring.columns) for name in missing}
        named = ", ".join(
            f"`{name}`" + (f" (but `{like}`)" if like else "") for name, like in near.items()
        )
        raise TableMismatch(
            f"The table to be scored has no column {named}, which the training table has; "
            "build both alike, or leave out with --exclude."
        )


def _tell_apart(
    rows: DataFrame, columns: Columns, reader: PipelineModel, *, user: str, draws: int, seed: int
) -> tuple[tuple[float, float, float], pd.Series]:
    """The AUC with its interval, and the mean share of the importance by column.

    reader: what makes vectors of `columns`.
    """
    prepared = reader.transform(rows).select(
        quote(user), F.col(LABEL).alias(LABEL, metadata=TWO_CLASSES), FEATURES
    )
    prepared = protocol.user_folds(prepared, user=user, folds=FOLDS, seed=seed)
    prepared = prepared.coalesce(1).sortWithinPartitions(quote(user)).localCheckpoint()
    forest = RandomForestClassifier(
        featuresCol=FEATURES,
        labelCol=LABEL,
        numTrees=30,
        maxDepth=6,
        minInstancesPerNode=5,
        subsamplingRate=0.8,
        seed=seed,
    )
    scored, importances = [], []
    for fold in range(FOLDS):
        model = forest.fit(prepared.filter(F.col(FOLD) != fold))
        importances.append(_by_column(prepared, model, columns))
        unseen = model.transform(prepared.filter(F.col(FOLD) == fold))
        scored.append(unseen.select(quote(user), LABEL, "probability"))
    table = reduce(DataFrame.unionAll, scored).toPandas()
    interval = evaluation.roc_auc(
        table[LABEL].to_numpy(),
        np.array([p[1] for p in table["probability"]]),
        table[user].to_numpy(),
        draws=draws,
        seed=seed,
    )
    mean = pd.concat(importances, axis=1).mean(axis=1)
    return interval, mean.sort_values(ascending=False, kind="stable")


def _by_column(
    prepared: DataFrame, model: RandomForestClassificationModel, columns: Columns
) -> pd.Series:
    """The importance by column: that of its values, categories, and of being missing."""
    attributes = prepared.schema[FEATURES].metadata["ml_attr"]["attrs"]
    name_at = {each["idx"]: each["name"] for kind in attributes.values() for each in kind}
    importance = dict.fromkeys(columns.names, 0.0)
    owners = _owners(columns)
    for index, value in enumerate(model.featureImportances.toArray()):
        whole = name_at[index]
        # Of a column, of its being missing, or of one of its categories; names may hold the words.
        of = [
            name
            for name in owners
            if whole in (name, f"{name}_missing") or whole.startswith(f"{name}_vector_")
        ]
        importance[owners[max(of, key=len)]] += float(value)
    return pd.Series(importance)


def _owners(columns: Columns) -> dict[str, str]:
    names: Sequence[str] = preprocessing.safe_names(columns)
    return dict(zip(names, columns.names, strict=True))
