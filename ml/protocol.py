"""Who is learned from and who is predicted: rolling origins in time, folds of whole users."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from ml.errors import NotTrainable
from ml.preprocessing import quote

LABEL = "ml__label"
FOLD = "ml__fold"
# Metadata of ml__label: without it every fit of a tree or of naive Bayes counts the classes.
TWO_CLASSES = {"ml_attr": {"type": "nominal", "vals": ["0", "1"]}}


@dataclass(frozen=True)
class Origins:
    """The dates to predict from, why each other candidate was left out, and the last date."""

    kept: tuple[dt.date, ...]
    left_out: tuple[str, ...]
    last_date: dt.date


@dataclass(frozen=True)
class _Day:
    """The rows as of a date: how many, how many positive, and whose."""

    rows: int
    positives: int
    churners: frozenset


def rolling_origins(
    rows: DataFrame,
    *,
    user: str,
    time: str,
    horizon_days: int,
    count: int,
    min_churners: int,
    min_users: int,
) -> Origins:
    """The last `count` dates of `rows` that have enough to learn from before them.

    An origin's training rows are those of `is_known`; it is left out, and named, if fewer
    than `min_churners` of them are positive, or these are of fewer than `min_users` users, or
    there are no others. `rows` has the column `ml__label` (0.0 or 1.0, never null).
    Source: Tashman (2000), out-of-sample tests of forecasting accuracy; rolling origin.

    Raises:
        NotTrainable: no origin is left, or all their rows ended alike, which no model is judged by:
            where nobody churned, whoever expects the least is the best.
    """
    days = _by_day(rows, user=user, time=time)
    kept, left_out = [], []
    for origin in sorted(days)[-count:]:
        closed = [days[d] for d in days if d + dt.timedelta(days=horizon_days) <= origin]
        churners = sum(day.positives for day in closed)
        users = len(frozenset().union(*(day.churners for day in closed)))
        others = sum(day.rows - day.positives for day in closed)
        if churners >= min_churners and users >= min_users and others:
            kept.append(origin)
        else:
            left_out.append(
                f"{origin} is left out of the backtest: users known before it to have churned: "
                f"{users}, in rows: {churners}; {min_users} users in {min_churners} rows are "
                "needed."
            )
    if not kept:
        raise NotTrainable(
            f"No date can be predicted from what was known before it. {left_out[-1]} "
            "Give a longer history."
        )
    _check_judges([days[origin] for origin in kept], f"{kept[0]} to {kept[-1]}")
    return Origins(tuple(kept), tuple(left_out), max(days))


def is_known(time: str, *, horizon_days: int, origin: dt.date) -> Column:
    """Whether the label of a row was known at `origin`: as-of date + horizon <= origin."""
    return F.date_add(F.to_date(quote(time)), horizon_days) <= F.lit(origin)


def is_as_of(time: str, *, origin: dt.date) -> Column:
    """Whether a row is as of `origin`."""
    return F.to_date(quote(time)) == F.lit(origin)


def user_folds(rows: DataFrame, *, user: str, folds: int, seed: int) -> DataFrame:
    """`rows` with `ml__fold`, from 0 to folds - 1: a user's rows share a fold.

    Users with a positive row and users without are dealt out separately, in the order of a hash
    of user and seed, so that folds differ by one user of each kind at most and are the same on
    every machine and partitioning. Needs `ml__label`.
    """
    quoted = quote(user)
    users = rows.groupBy(quoted).agg(F.max(LABEL).alias("ml__ever"))
    order = Window.partitionBy("ml__ever").orderBy(F.xxhash64(quoted, F.lit(seed)), quoted)
    # The second stratum is dealt from the other end, so that fold sizes stay even.
    place = F.row_number().over(order) - 1
    place = F.when(F.col("ml__ever") > 0, folds - 1 - place % folds).otherwise(place % folds)
    return rows.join(users.select(quoted, place.alias(FOLD)), on=user)


def check_folds(count: int, *, folds: int, verb: str = "churned") -> None:
    """Raise NotTrainable if some fold would hold no user that churned, or did as `verb` says."""
    if count < 2 * folds:
        raise NotTrainable(
            f"Users who {verb} among the rows to learn from: {count}; {folds} folds need at least "
            f"{2 * folds}. Give a longer history, or more users."
        )


def check_outer_folds(churners: int, others: int, *, folds: int) -> None:
    """The same of both classes where each fold of users is left out and the others split again."""
    for count, verb in ((churners, "churned"), (others, "stayed")):
        check_folds(count - -(-count // folds), folds=folds, verb=verb)


def compact(rows: DataFrame, *, keys: Sequence[str], count: int) -> DataFrame:
    """The same rows in few partitions, in an order that does not depend on how they were read.

    MLlib samples rows by partition and position, so the order is part of what makes a run
    repeatable; and on a small table most of a fit's time goes into empty partitions.
    """
    partitions, keys = max(1, count // 50_000), list(map(quote, keys))
    if partitions == 1:
        return rows.coalesce(1).sortWithinPartitions(*keys)
    return rows.repartition(partitions, keys[0]).sortWithinPartitions(*keys)


def _check_judges(predicted: Sequence[_Day], dates: str) -> None:
    """Raise NotTrainable if nobody, or everybody, churned as of the dates to predict."""
    count = sum(day.rows for day in predicted)
    if 0 < sum(day.positives for day in predicted) < count:
        return
    who = "everybody" if predicted[0].positives else "nobody"
    raise NotTrainable(
        f"No model can be judged: {who} churned of the {count:,} rows as of the dates to predict "
        f"({dates}). See whether churn is still logged as it was; if so, give a longer history, or "
        "more origins."
    )


def _by_day(rows: DataFrame, *, user: str, time: str) -> dict[dt.date, _Day]:
    churner = F.when(F.col(LABEL) > 0, F.col(quote(user)))
    found = rows.groupBy(F.to_date(quote(time)).alias("day")).agg(
        F.count(F.lit(1)).alias("rows"),
        F.sum(LABEL).cast("int").alias("positives"),
        F.collect_set(churner).alias("churners"),
    )
    return {
        r["day"]: _Day(r["rows"], r["positives"], frozenset(r["churners"])) for r in found.collect()
    }
