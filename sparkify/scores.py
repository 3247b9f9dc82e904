"""The scores of the active users: whether they are of now, and how they came true."""

import numpy as np
import pandas as pd
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from sparkify.datasets import FEATURES, Dataset, definitions, feature_table
from sparkify.formatting import plural
from sparkify.registered import champion_of
from sparkify.settings import Settings

NOBODY = "Nobody was active lately, so there is nobody to score."


def judged_scores(spark: SparkSession, settings: Settings) -> pd.DataFrame:
    """fct_score_outcomes of the model of this schema, as far as they are known, by date.

    no_skill is the log loss of giving everybody the share who left, known in hindsight. Dates of
    a challenger have is_shadow.
    """
    table = settings.table("fct_score_outcomes")
    if not spark.catalog.tableExists(table):
        names = ("model_version", "is_shadow", "horizon_days", "as_of_date", "log_loss", "no_skill")
        return pd.DataFrame(columns=[*names])
    found = spark.table(table).where(F.col("model_name") == settings.model)
    # A table that was last built before there were challengers' scores has none.
    for name, otherwise in (("is_shadow", False), ("horizon_days", None)):
        if name not in found.columns:
            found = found.withColumn(name, F.lit(otherwise))
    known = found.where("churner_count is not null")
    rows = known.orderBy("as_of_date").toPandas()
    share = (rows["churner_count"] / rows["user_count"]).clip(1e-9, 1 - 1e-9)
    loss = -(share * np.log(share) + (1 - share) * np.log(1 - share))
    return rows.assign(no_skill=loss)


def came_true(judged: pd.DataFrame) -> str:
    """Expected and counted churners of all dates, and the log loss of the last one, in words."""
    if judged.empty:
        return "not known yet"
    from ml.training import churner_unit

    last = judged.iloc[-1]
    return (
        f"on {plural(judged['as_of_date'].nunique(), 'date')}, "
        f"{churner_unit(judged['as_of_date'])}: expected "
        f"{judged['expected_churner_count'].sum():.0f}, counted "
        f"{judged['churner_count'].sum():.0f}; log loss "
        f"{last['log_loss']:.3f} on {last['as_of_date']}, {last['no_skill']:.3f} without skill"
    )


def why_no_scores(spark: SparkSession, settings: Settings) -> str:
    """Why nobody is scored, as a sentence."""
    features = feature_table(spark, settings, FEATURES)
    found, why = champion_of(settings, features)
    if found is None:
        return why
    if features.rows.isEmpty():
        return NOBODY
    as_of = features.rows.agg(F.max(features.spec.time)).first()[0]
    return f"The active users of {as_of} are not scored yet; run `{settings.command} score`."


def fingerprint(features: Dataset) -> int | None:
    """Of all that a feature table says, whatever the order of its rows; None of no rows."""
    told = [name for name in features.rows.columns if name not in features.spec.exclude]
    # A null leaves a hash as it is, so each value stands beside its place.
    each = F.xxhash64(*(part for i, name in enumerate(told) for part in (F.col(name), F.lit(i))))
    return features.rows.agg(F.bit_xor(each)).first()[0]


def why_stale(spark: SparkSession, settings: Settings) -> str:
    """That features have changed since their users were scored, as a sentence; nothing if not."""
    table = settings.ml_table("churn_scores")
    features = feature_table(spark, settings, FEATURES)
    if "features_hash" not in spark.table(table).columns:
        return ""
    scored = (
        spark.table(table)
        .where("not is_shadow")
        .join(features.rows.select("as_of_date").distinct(), "as_of_date", "semi")
        .agg(F.max_by("features_hash", "scored_at"))
        .first()[0]
    )
    if scored is None or scored == fingerprint(features):
        return ""
    return (
        "The features of the users have changed since they were scored, by late events or another "
        f"build; run `{settings.command} score`."
    )


def scored_dates(spark: SparkSession, settings: Settings) -> pd.DataFrame:
    """The last two dates scored, the later first: as_of_date, users, churners expected, version.

    A score for another horizon or another churn is none: it cannot be compared. Nor is one of a
    date before the beginning of the data or after its end, which is of another log.
    """
    built = definitions(spark, settings)
    scores = spark.table(settings.table("fct_churn_scores"))
    for name in ("horizon_days", "churn_definition"):
        if name in built:
            # What an older version scored does not tell.
            scores = scores.where(F.coalesce(F.col(name) == F.lit(built[name]), F.lit(True)))
    days = spark.table(settings.table("fct_user_days"))
    ends = days.agg(
        F.min("activity_date").alias("first_date"),
        F.date_add(F.max("activity_date"), 1).alias("scoring_date"),
    )
    is_within = (F.col("as_of_date") > F.col("first_date")) & (
        F.col("as_of_date") <= F.col("scoring_date")
    )
    return (
        scores.join(ends, is_within)
        .groupBy("as_of_date")
        .agg(
            F.count(F.lit(1)).alias("users"),
            F.sum("probability").alias("churners"),
            F.max("model_version").alias("version"),
        )
        .orderBy(F.desc("as_of_date"))
        .limit(2)
        .toPandas()
    )
