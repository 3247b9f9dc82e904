"""Columns that know the outcome: found before anything is learned from them."""

import csv
import io
import shlex
from functools import reduce

import pandas as pd
from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from ml.errors import NotTrainable
from ml.preprocessing import Columns, clean, quote
from ml.protocol import LABEL
from ml.table_spec import Labelled

# Honest features of churn reach .6 to .8 by themselves; what reaches this has seen the outcome.
LEAK_AUC = 0.97
# Numbers of so few values may be codes, in no order.
CODES = 10
# A column that separates the classes does so on this many rows of each of them as well.
SAMPLE_ROWS = 25_000


def refuse_leaks(
    rows: DataFrame, columns: Columns, *, user: str, found: Labelled, allow: tuple[str, ...] = ()
) -> tuple[str, ...]:
    """A sentence for each allowed column that separates the label nearly alone.

    `rows`, counted by `found`, are labelled: ml__label and the feature columns. One Spark job.

    Raises:
        NotTrainable: a column that is not in `allow` does so; all of them are named.
    """
    table = separation(rows, columns, user=user, found=found)
    leaks = table[table["separation"] > LEAK_AUC]
    refused = leaks[~leaks["column"].isin(allow)]
    if len(refused):
        named = ", ".join(
            f"`{row.column}` (ROC AUC {row.separation:.3f})" for row in refused.itertuples()
        )
        them = "each of them alone tells" if len(refused) > 1 else "alone it tells"
        option = io.StringIO()
        csv.writer(option, lineterminator="").writerow(refused["column"])
        names = shlex.quote(option.getvalue())
        raise NotTrainable(
            f"{named}: {them} churners from the others, as only the outcome can. Leave out with "
            f"--exclude {names}, or, if known on the date of the row, allow with --allow {names} "
            "(options of `sparkify train`)."
        )
    return tuple(
        f"`{row.column}` tells churners from the others nearly alone (ROC AUC "
        f"{row.separation:.3f}) and is allowed by name."
        for row in leaks.itertuples()
    )


def separation(rows: DataFrame, columns: Columns, *, user: str, found: Labelled) -> pd.DataFrame:
    """How well each column alone ranks the label: column, separation, the highest first.

    The separation is the ROC AUC, or 1 minus it where low values are the churners'. Missing ranks
    lowest, as whether a value is known may be the leak; categories, and numbers of at most `CODES`
    values, rank by their share of churners. Of more than `SAMPLE_ROWS` rows of a class, those of
    some users, chosen by a hash: the AUC does not depend on how large the classes are.
    Source: Kaufman et al. (2012), Leakage in Data Mining; Mann & Whitney (1947) for the AUC.
    """
    shares = [SAMPLE_ROWS / n for n in (found.positives, found.rows - found.positives)]
    if min(shares) < 1:
        place = F.pmod(F.xxhash64(quote(user)), F.lit(1_000_000)) / 1_000_000
        rows = rows.filter(place < F.when(F.col(LABEL) > 0, shares[0]).otherwise(shares[1]))
    names = {f"c{i}": feature for i, feature in enumerate(columns.features)}
    groups = [
        _steps(rows, {name: each for name, each in names.items() if (each.kind == "category") is k})
        for k in (False, True)
    ]
    steps = reduce(DataFrame.unionAll, [group for group in groups if group is not None])
    are_few = F.count(F.lit(1)).over(Window.partitionBy("column")) <= CODES
    steps = steps.withColumn("place", F.when(are_few, _share()).otherwise(F.col("place")))
    below = Window.partitionBy("column").orderBy("place", "value")
    below = below.rowsBetween(Window.unboundedPreceding, -1)
    beaten = F.coalesce(F.sum("others").over(below), F.lit(0)) + F.col("others") / 2
    table = (
        steps.withColumn("won", beaten * F.col("churners"))
        .groupBy("column")
        .agg(F.try_divide(F.sum("won"), F.sum("churners") * F.sum("others")))
        .toDF("column", "auc")
        .toPandas()
    )
    alone = pd.DataFrame(
        {
            "column": [names[name].name for name in table["column"]],
            "separation": table["auc"].clip(lower=1 - table["auc"]),
        }
    )
    return alone.sort_values(["separation", "column"], ascending=[False, True], ignore_index=True)


def _share() -> Column:
    """Of the rows with a value of a column, how many are churners'."""
    return F.col("churners") / (F.col("churners") + F.col("others"))


def _steps(rows: DataFrame, features: dict) -> DataFrame | None:
    """A row per column and value: column, value (text), place in its order, churners, others."""
    if not features:
        return None
    numeric = next(iter(features.values())).kind != "category"
    values = [
        f"{clean(feature) if numeric else quote(feature.name)} as {name}"
        for name, feature in features.items()
    ]
    long = rows.selectExpr(LABEL, *values).unpivot(LABEL, list(features), "column", "value")
    churners, others = F.sum(LABEL), F.sum(1 - F.col(LABEL))
    grouped = long.groupBy("column", "value").agg(
        churners.alias("churners"), others.alias("others")
    )
    place = F.col("value") if numeric else _share()
    value = F.col("value").cast("string").alias("value")
    return grouped.select("column", value, place.alias("place"), "churners", "others")
