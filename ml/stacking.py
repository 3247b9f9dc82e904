"""From tuned learners to one probability: single, average or stack, as one PipelineModel."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
import pandas as pd
from pyspark.ml import PipelineModel
from pyspark.ml.classification import LogisticRegression, LogisticRegressionModel
from pyspark.ml.feature import SQLTransformer, VectorAssembler
from pyspark.ml.linalg import DenseMatrix
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from scipy.special import expit

from ml import preprocessing, tuning
from ml.calibration import platt
from ml.preprocessing import FEATURES, PREFIX, SCALED, Columns
from ml.protocol import FOLD, LABEL, compact, user_folds
from ml.threads import in_threads
from ml.tuning import Learner, Point, Shape, Tuned

BASE_RATE, AVERAGE, STACK = "base_rate", "average", "stack"
LOG_ODDS, PROBABILITY = f"{PREFIX}log_odds", f"{PREFIX}probability"

# A forest can say exactly 0. Below one in ten thousand its counts know nothing, and the
# logarithm would let a single row outweigh all others.
CLIP = 1e-4
META_PENALTY = 0.01

# Hyperparameters and the few weights of the stack are known from this many rows: of more, the
# folds are of some users only. The models themselves learn from all rows.
FOLD_ROWS, FOLD_POSITIVES = 30_000, 1_000


@dataclass(frozen=True)
class Fitted:
    """All that was learned from one set of training rows.

    out_of_fold has a row per training row (of very many rows: of those of some users): the keys,
    ml__label, ml__fold, and the log-odds of each learner from the fold model that never saw the
    row's user. scores has every fold's log loss of every grid point: learner, point, fold,
    log_loss, chosen.
    """

    preparation: PipelineModel
    bases: dict[str, Tuned]
    meta: LogisticRegressionModel
    base_rate: float
    out_of_fold: pd.DataFrame
    scores: pd.DataFrame

    @property
    def points(self) -> dict[str, list[Point]]:
        """The chosen point of each learner, as a grid of one."""
        return {name: [tuned.points[tuned.best]] for name, tuned in self.bases.items()}

    @cached_property
    def calibration(self) -> dict[str, tuple[float, float]]:
        """Slope and intercept for the log-odds of each learner and of their average.

        From out-of-fold rows: boosted trees start from even odds, forests shy away from 0 and 1.
        """
        y = self.out_of_fold[LABEL].to_numpy()
        log_odds = self.out_of_fold[list(self.bases)]
        each = {name: platt(log_odds[name].to_numpy(), y) for name in self.bases}
        return {**each, AVERAGE: platt(log_odds.mean(axis=1).to_numpy(), y)}

    @property
    def meta_weights(self) -> dict[str, float]:
        """The stack's intercept and its weight on each learner's log-odds."""
        weights = dict(zip(self.bases, map(float, self.meta.coefficients), strict=True))
        return {"intercept": float(self.meta.intercept), **weights}


def fit(
    train: DataFrame,
    columns: Columns,
    *,
    keys: Sequence[str],
    learners: Sequence[Learner],
    points: Mapping[str, list[Point]],
    folds: int,
    count: int,
    seed: int,
    parallelism: int,
) -> Fitted:
    """Prepare, tune and stack on the `count` rows of `train` (keys, ml__label, feature columns).

    keys[0] is the user; the folds for tuning and stacking are the same, and by user.
    parallelism: learners tuned at a time.
    Source: Wolpert (1992), stacked generalization; Breiman (1996), nonnegative weights.
    """
    is_scaled = any(learner.scaled for learner in learners)
    preparation = preprocessing.fit_preparation(train, columns, scaled=is_scaled)
    vectors = [FEATURES, SCALED] if is_scaled else [FEATURES]
    prepared = preparation.transform(train).select(*map(preprocessing.quote, keys), LABEL, *vectors)
    prepared = user_folds(prepared, user=keys[0], folds=folds, seed=seed)
    # A checkpoint, not a cache: each of a fit's many small jobs would carry the whole lineage.
    prepared = compact(prepared, keys=keys, count=count).localCheckpoint()
    found = prepared.agg(F.count(F.lit(1)).alias("rows"), F.sum(LABEL).alias("positives")).first()
    sample = _sample(prepared, keys, found["rows"], positives=found["positives"], seed=seed)
    shape = _shape(prepared, count)
    searches = [
        partial(
            tuning.tune,
            prepared,
            learner,
            sample=sample,
            points=points[learner.name],
            folds=folds,
            shape=shape,
            seed=seed,
        )
        for learner in learners
    ]
    tuned = in_threads(train.sparkSession, searches, parallelism=parallelism)
    bases = {each.learner.name: each for each in tuned}
    margins = _out_of_fold(sample, bases, keys=keys, vectors=vectors, folds=folds)
    chosen = {f"{name}.{tuned.best}": name for name, tuned in bases.items()}
    oof = margins[[*keys, LABEL, FOLD, *chosen]].rename(columns=chosen)
    return Fitted(
        preparation=preparation,
        bases=bases,
        meta=_fit_meta(train.sparkSession, oof, names=list(bases)),
        base_rate=found["positives"] / found["rows"],
        out_of_fold=oof,
        scores=_scores(margins, bases),
    )


def margins(
    rows: DataFrame, fitted: Fitted, *, keys: Sequence[str], more: Mapping[str, str] | None = None
) -> pd.DataFrame:
    """Each learner's log-odds for `rows`: keys, ml__label, a column a learner. One Spark job.

    `more`: names of further columns to return, and what they are called in `rows`.
    """
    current = fitted.preparation.transform(rows)
    for tuned in fitted.bases.values():
        current = tuned.model.transform(current)
    log_odds = [F.expr(_margin(name)).alias(name) for name in fitted.bases]
    others = [F.col(preprocessing.quote(name)).alias(new) for new, name in (more or {}).items()]
    quoted = map(preprocessing.quote, keys)
    return current.select(*quoted, LABEL, *others, *log_odds).toPandas()


def candidates(log_odds: pd.DataFrame, fitted: Fitted) -> dict[str, np.ndarray]:
    """The probability that each candidate gives to each row of log-odds."""
    names = list(fitted.bases)
    values = log_odds[names].to_numpy()
    single = dict(zip(names, values.T, strict=True)) | {AVERAGE: values.mean(axis=1)}
    return {
        BASE_RATE: np.full(len(values), fitted.base_rate),
        **{
            name: expit(np.polyval(fitted.calibration[name], odds)) for name, odds in single.items()
        },
        STACK: expit(fitted.meta.intercept + values @ np.array(fitted.meta.coefficients)),
    }


def deployed(fitted: Fitted, candidate: str) -> PipelineModel:
    """A candidate as one PipelineModel of stock stages: it loads in any Spark, without this code.

    It adds ml__log_odds and ml__probability (doubles) to a table with the feature columns:
    calibrated, as `candidates` has them.
    """
    names = [name for name in fitted.bases if candidate in (name, AVERAGE, STACK)]
    stages = [fitted.preparation, *(fitted.bases[name].model for name in names)]
    if candidate == STACK:
        parts = ", ".join(f"{_margin(name)} as {PREFIX}margin_{name}" for name in names)
        margins = SQLTransformer(statement=f"select *, {parts} from __THIS__")
        stages += [margins, _assembler(names), fitted.meta]
        log_odds = _element(tuning.columns(STACK)["rawPredictionCol"], 1)
    else:
        slope, intercept = fitted.calibration[candidate]
        mean = f"({' + '.join(map(_margin, names))}) / {len(names)}"
        log_odds = f"{intercept!r}D + {slope!r}D * {mean}"
    last = (
        f"select *, 1 / (1 + exp(-{LOG_ODDS})) as {PROBABILITY} "
        f"from (select *, {log_odds} as {LOG_ODDS} from __THIS__)"
    )
    return PipelineModel([*stages, SQLTransformer(statement=last)])


def _shape(prepared: DataFrame, count: int) -> Shape:
    return Shape(count, len(prepared.select(FEATURES).first()[0]))


def _sample(
    prepared: DataFrame, keys: Sequence[str], rows: int, *, positives: float, seed: int
) -> DataFrame:
    """All rows of some users, chosen by a hash; of all users, if there are not very many rows."""
    share = max(FOLD_ROWS / rows, FOLD_POSITIVES / max(positives, 1))
    if share >= 1:
        return prepared
    place = F.pmod(F.xxhash64(preprocessing.quote(keys[0]), F.lit(seed + 2)), F.lit(1_000_000))
    sample = prepared.filter(place < int(share * 1_000_000))
    return compact(sample, keys=keys, count=int(share * rows)).localCheckpoint()


def _out_of_fold(
    prepared: DataFrame,
    bases: Mapping[str, Tuned],
    *,
    keys: Sequence[str],
    vectors: Sequence[str],
    folds: int,
) -> pd.DataFrame:
    """Log-odds `<learner>.<point>` of each row by models that never saw its user. One Spark job."""
    branches = []
    for fold in range(folds):
        branch = prepared.filter(F.col(FOLD) == fold)
        keep = [*map(preprocessing.quote, keys), LABEL, FOLD]
        for name, tuned in bases.items():
            for i, model in enumerate(tuned.fold_models[fold]):
                output = f"{name}.{i}"
                margin = F.expr(_margin(name)).alias(output)
                branch = model.transform(branch).select(*keep, *vectors, margin)
                keep.append(f"`{output}`")
        branches.append(branch.drop(*vectors))
    union = branches[0]
    for branch in branches[1:]:
        union = union.unionAll(branch)
    return union.toPandas()


def _scores(margins: pd.DataFrame, bases: Mapping[str, Tuned]) -> pd.DataFrame:
    """The log loss of each learner, point and fold."""
    scores = []
    for name, tuned in bases.items():
        for i, point in enumerate(tuned.points):
            for fold, part in margins.groupby(FOLD):
                sign = 1 - 2 * part[LABEL]
                loss = np.logaddexp(0, sign * part[f"{name}.{i}"]).mean()
                scores.append((name, str(point), int(fold), float(loss), i == tuned.best))
    return pd.DataFrame(scores, columns=["learner", "point", "fold", "log_loss", "chosen"])


def _fit_meta(
    spark: SparkSession, oof: pd.DataFrame, *, names: Sequence[str]
) -> LogisticRegressionModel:
    """The L2 logistic regression on top, with weights that cannot be negative.

    Margins of good learners are nearly collinear: without the bound they get huge weights of
    opposite signs.
    """
    inputs = oof[[LABEL, *names]].rename(columns={name: f"{PREFIX}margin_{name}" for name in names})
    table = _assembler(names).transform(spark.createDataFrame(inputs).coalesce(1))
    return LogisticRegression(
        featuresCol=f"{PREFIX}margins",
        labelCol=LABEL,
        regParam=META_PENALTY,
        lowerBoundsOnCoefficients=DenseMatrix(1, len(names), [0.0] * len(names)),
        **tuning.columns(STACK),
    ).fit(table)


def _assembler(names: Sequence[str]) -> VectorAssembler:
    inputs = [f"{PREFIX}margin_{name}" for name in names]
    return VectorAssembler(inputCols=inputs, outputCol=f"{PREFIX}margins")


def _margin(name: str) -> str:
    """SQL for a learner's clipped log-odds, on one scale for all of them."""
    column = tuning.columns(name)["probabilityCol"]
    yes, no = (f"greatest({_element(column, i)}, {CLIP}D)" for i in (1, 0))
    return f"ln({yes} / {no})"


def _element(column: str, index: int) -> str:
    """SQL for an element of a dense vector: `vector_to_array` is not a SQL function."""
    return f"cast(split(trim(both '[]' from cast({column} as string)), ',')[{index}] as double)"
