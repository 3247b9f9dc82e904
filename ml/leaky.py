"""The usual public protocol, measured as it is usually measured, to stand beside the honest one.

It is not used to train anything. Its table holds one row a user with aggregates over all that the
log has of them, so that users who cancelled have shorter histories: the time observed is
itself the label. Users are split at random, learners are as MLlib makes them but for the number of
iterations, and the F1 is MLlib's `f1`, weighted over both classes, which "nobody churns" already
brings to .67 where 23 % churn.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
from pyspark.ml import Estimator
from pyspark.ml.classification import GBTClassifier, LogisticRegression, RandomForestClassifier
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from ml import evaluation, preprocessing, protocol, table_spec
from ml.errors import NotTrainable
from ml.parallel import in_threads
from ml.preprocessing import FEATURES
from ml.protocol import LABEL
from ml.stacking import BASE_RATE
from ml.table_spec import TableSpec

# Ten iterations, as the examples of Spark's guide have; MLlib's defaults are 100 and 20.
LEARNERS = {
    "logistic_regression": partial(LogisticRegression, maxIter=10),
    "random_forest": partial(RandomForestClassifier, seed=0),
    "gradient_boosted_trees": partial(GBTClassifier, maxIter=10, seed=0),
}
PUBLIC, HONEST = "random split of whole histories", "backtest of what was known"
TRAIN_SHARE = 0.8


def public_protocol(
    table: DataFrame,
    spec: TableSpec,
    *,
    models: Sequence[str] = tuple(LEARNERS),
    draws: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """What the public way reports of a table with one row a user: aggregates and a label.

    A random 80 % of the rows train each of `LEARNERS`; the others are predicted, and count as
    churners from a probability of one half. Columns as in `evaluation.performance`, and protocol.
    `spec.time` is ignored.

    Raises:
        TableMismatch, NotTrainable: as in `training.train`.
    """
    spec = replace(spec, time=None)
    columns = table_spec.check_schema(table, spec)
    labelled, found = table_spec.label_rows(table, spec)
    table_spec.check_enough(found, min_churners=2)
    columns = preprocessing.screen(labelled, columns, keys=spec.keys, users=found.users)
    table_spec.check_features(columns)
    rows = protocol.compact(labelled, keys=spec.keys, count=found.rows).localCheckpoint()
    train, test = rows.randomSplit([TRAIN_SHARE, 1 - TRAIN_SHARE], seed=seed)
    preparation = preprocessing.fit_preparation(train, columns, scaled=False)
    prepared, unseen = (preparation.transform(part).localCheckpoint() for part in (train, test))
    learners = [LEARNERS[name](featuresCol=FEATURES, labelCol=LABEL) for name in models]
    tasks = [partial(_predict, learner, prepared, unseen, id=spec.id) for learner in learners]
    predicted = in_threads(rows.sparkSession, tasks, parallelism=2)
    parts = [part.assign(candidate=name) for name, part in zip(models, predicted, strict=True)]
    if parts[0]["y"].nunique() < 2:
        raise NotTrainable("A random fifth of the users holds none who left, or none who stayed.")
    base = parts[0].assign(
        candidate=BASE_RATE, p=prepared.agg(F.mean(LABEL)).first()[0], flagged=False
    )
    metrics = evaluation.performance(pd.concat([base, *parts]), draws=draws, seed=seed)
    return metrics.assign(protocol=PUBLIC)


def side_by_side(
    public: pd.DataFrame,
    honest: pd.DataFrame,
    *,
    candidate: str,
    metrics: Sequence[str] = ("roc_auc", "f1_weighted", "f1", "pr_auc", "log_loss"),
) -> pd.DataFrame:
    """The best public figure of each metric beside the honest one of `candidate`.

    The best of several learners on the very rows that they are tested on: that too is usual.
    `public` from `public_protocol`, `honest` from a TrainingResult. Returns metric, protocol,
    candidate, value, ci_low, ci_high, no_skill, user_count.
    """
    public = public[public["candidate"] != BASE_RATE]
    honest = honest[honest["candidate"] == candidate].assign(protocol=HONEST)
    rows = []
    for metric in metrics:
        best = public[public["metric"] == metric].sort_values("value", kind="stable")
        rows += [best.iloc[0 if metric == "log_loss" else -1], _only(honest, metric)]
    shown = ["metric", "protocol", "candidate", "value", "ci_low", "ci_high", "no_skill"]
    return pd.DataFrame(rows)[[*shown, "user_count"]].reset_index(drop=True)


def _only(table: pd.DataFrame, metric: str) -> pd.Series:
    return table[table["metric"] == metric].iloc[0]


def _predict(
    learner: Estimator, prepared: DataFrame, unseen: DataFrame, *, id: str
) -> pd.DataFrame:
    """One learner's predictions, in the order of users."""
    scored = learner.fit(prepared).transform(unseen)
    found = scored.select(preprocessing.quote(id), LABEL, "probability").toPandas()
    p = np.array([vector[1] for vector in found["probability"]])
    table = pd.DataFrame(
        {
            "user": found[id],
            "y": found[LABEL].astype(int),
            # A forest may say exactly 0, of which no log loss can be told.
            "p": np.clip(p, 1e-4, 1 - 1e-4),
            "flagged": p > 0.5,
        }
    )
    return table.sort_values("user", ignore_index=True)
