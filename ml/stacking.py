"""From tuned learners to one probability: single, average or stack, as one PipelineModel."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial, reduce

import numpy as np
import pandas as pd
from pyspark.ml import Model, PipelineModel
from pyspark.ml.feature import SQLTransformer
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from scipy.special import expit

from ml import calibration, preprocessing, tuning
from ml.preprocessing import CORE, FEATURES, PREFIX, SCALED, THIS, Columns
from ml.protocol import FOLD, LABEL, TWO_CLASSES, compact, user_folds
from ml.tuning import Fit, Learner, Point, Shape, Tuned

BASE_RATE, AVERAGE, STACK = "base_rate", "average", "stack"
LOG_ODDS, PROBABILITY = f"{PREFIX}log_odds", f"{PREFIX}probability"

# What a learner may read.
VECTORS = (FEATURES, CORE, SCALED)

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
    row's user. scores has every fold's log loss of every grid point tried: learner, point, fold,
    log_loss, chosen. folds: user and ml__fold. fold_models: by learner, each without one fold.
    """

    preparation: PipelineModel
    bases: dict[str, Tuned]
    fold_models: dict[str, list[Model]]
    folds: DataFrame
    base_rate: float
    out_of_fold: pd.DataFrame
    scores: pd.DataFrame

    @property
    def points(self) -> dict[str, list[Point]]:
        """The chosen point of each learner, as a grid of one."""
        return {name: [tuned.point] for name, tuned in self.bases.items()}

    @cached_property
    def lines(self) -> dict[str, tuple[float, dict[str, float]]]:
        """By candidate: the intercept, and the weight of each learner's log-odds.

        From out-of-fold rows: boosted trees start from even odds, forests shy away from 0 and 1.
        """
        names, y = list(self.bases), self.out_of_fold[LABEL].to_numpy()
        log_odds = self.out_of_fold[names].to_numpy()
        found = {}
        for i, name in enumerate(names):
            intercept, slope = calibration.platt(log_odds[:, i], y)
            found[name] = intercept, {name: slope}
        intercept, slope = calibration.platt(log_odds.mean(axis=1), y)
        found[AVERAGE] = intercept, dict.fromkeys(names, slope / len(names))
        intercept, *weights = calibration.stack(log_odds, y, penalty=META_PENALTY).tolist()
        return found | {STACK: (intercept, dict(zip(names, weights, strict=True)))}

    @property
    def meta_weights(self) -> dict[str, float]:
        """The stack's intercept and its weight on each learner's log-odds."""
        intercept, weights = self.lines[STACK]
        return {"intercept": intercept, **weights}


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
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> Fitted:
    """Prepare, tune and stack on the `count` rows of `train` (keys, ml__label, feature columns).

    keys[0] is the user; the folds for tuning and stacking are the same, and by user.
    parallelism: models fitted at a time. progress: see `in_threads`, of the models fitted together.
    Source: Wolpert (1992), stacked generalization; Breiman (1996), nonnegative weights.
    """
    is_scaled = any(learner.scaled for learner in learners)
    preparation = preprocessing.fit_preparation(train, columns, scaled=is_scaled)
    prepared = _vectors(train, preparation, keys=keys)
    prepared = user_folds(prepared, user=keys[0], folds=folds, seed=seed)
    # A checkpoint, not a cache: each of a fit's many small jobs would carry the whole lineage.
    prepared = compact(prepared, keys=keys, count=count).localCheckpoint()
    sample, base_rate = _sample(prepared, keys, seed=seed)
    shape = _shape(prepared, count)
    fit_models = partial(
        tuning.fit_models, shape=shape, seed=seed, parallelism=parallelism, progress=progress
    )
    out_of_fold, scores, fold_models = _search(
        sample,
        learners,
        {learner.name: learner.worth_trying(points[learner.name], shape) for learner in learners},
        keys=keys,
        folds=folds,
        fit_models=partial(fit_models, sample),
    )
    best = dict(scores.loc[scores["chosen"], ["learner", "point"]].to_numpy())
    chosen = {
        name: next(point for point in points[name] if str(point) == shown)
        for name, shown in best.items()
    }
    models = fit_models(prepared, [Fit(each, chosen[each.name]) for each in learners])
    tuned = [
        Tuned(each, chosen[each.name], model) for each, model in zip(learners, models, strict=True)
    ]
    return Fitted(
        preparation=preparation,
        bases={each.learner.name: each for each in tuned},
        fold_models=fold_models,
        folds=prepared.select(preprocessing.quote(keys[0]), FOLD).distinct(),
        base_rate=base_rate,
        out_of_fold=out_of_fold,
        scores=scores,
    )


def refit(
    first: Fitted,
    train: DataFrame,
    columns: Columns,
    *,
    keys: Sequence[str],
    folds: int,
    count: int,
    seed: int,
    parallelism: int,
) -> Fitted:
    """What is learned from `train`, later rows of the table that `first` was fitted to.

    Its points and its fold models are kept: these have not seen the users of their fold in later
    rows either, so calibration and stack learn from all rows without another fit.
    """
    tuned = list(first.bases.values())
    is_scaled = any(each.learner.scaled for each in tuned)
    preparation = preprocessing.fit_preparation(train, columns, scaled=is_scaled)
    prepared = _vectors(train, preparation, keys=keys)
    prepared = compact(prepared, keys=keys, count=count).localCheckpoint()
    models = tuning.fit_models(
        prepared,
        [Fit(each.learner, each.point) for each in tuned],
        shape=_shape(prepared, count),
        seed=seed,
        parallelism=parallelism,
    )
    # Any fold is fair to a user who came later.
    other = F.pmod(F.xxhash64(preprocessing.quote(keys[0]), F.lit(seed)), F.lit(folds))
    unseen = _vectors(train, first.preparation, keys=keys).join(first.folds, keys[0], "left")
    unseen = unseen.withColumn(FOLD, F.coalesce(FOLD, other.cast("int")))
    unseen = compact(unseen, keys=keys, count=count).localCheckpoint()
    sample, base_rate = _sample(unseen, keys, seed=seed)
    return replace(
        first,
        preparation=preparation,
        bases={
            each.learner.name: replace(each, model=model)
            for each, model in zip(tuned, models, strict=True)
        },
        base_rate=base_rate,
        out_of_fold=_out_of_fold(sample, first.fold_models, keys=keys, folds=folds),
    )


def margins(
    rows: DataFrame, fitted: Fitted, *, keys: Sequence[str], more: Mapping[str, str] | None = None
) -> pd.DataFrame:
    """Each learner's log-odds for `rows`: keys, ml__label, a column a learner. One Spark job.

    `more`: names of further columns to return, and what they are in SQL.
    """
    current = fitted.preparation.transform(rows)
    for tuned in fitted.bases.values():
        current = tuned.model.transform(current)
    log_odds = [F.expr(_margin(name)).alias(name) for name in fitted.bases]
    others = [F.expr(value).alias(name) for name, value in (more or {}).items()]
    quoted = map(preprocessing.quote, keys)
    return current.select(*quoted, LABEL, *others, *log_odds).toPandas()


def candidates(log_odds: pd.DataFrame, fitted: Fitted) -> dict[str, np.ndarray]:
    """The probability that each candidate gives to each row of log-odds."""
    found = {BASE_RATE: np.full(len(log_odds), fitted.base_rate)}
    for name, (intercept, weights) in fitted.lines.items():
        found[name] = expit(intercept + log_odds[list(weights)].to_numpy() @ [*weights.values()])
    return found


def deployed(fitted: Fitted, candidate: str) -> PipelineModel:
    """A candidate as one PipelineModel of stock stages: it loads in any Spark, without this code.

    It adds ml__log_odds and ml__probability (doubles) to a table with the feature columns:
    calibrated, as `candidates` has them.
    """
    intercept, weights = fitted.lines[candidate]
    terms = [f"{weight!r}D * {_margin(name)}" for name, weight in weights.items()]
    last = (
        f"select *, 1 / (1 + exp(-{LOG_ODDS})) as {PROBABILITY} "
        f"from (select *, {' + '.join([f'{intercept!r}D', *terms])} as {LOG_ODDS} from {THIS})"
    )
    models = [fitted.bases[name].model for name in weights]
    return PipelineModel([fitted.preparation, *models, SQLTransformer(statement=last)])


def _vectors(rows: DataFrame, preparation: PipelineModel, *, keys: Sequence[str]) -> DataFrame:
    """What the learners read of `rows`: keys, label and vectors."""
    label = F.col(LABEL).alias(LABEL, metadata=TWO_CLASSES)
    prepared = preparation.transform(rows)
    vectors = [name for name in VECTORS if name in prepared.columns]
    return prepared.select(*map(preprocessing.quote, keys), label, *vectors)


def _shape(prepared: DataFrame, count: int) -> Shape:
    return Shape(count, prepared.schema[FEATURES].metadata["ml_attr"]["num_attrs"])


def _sample(prepared: DataFrame, keys: Sequence[str], *, seed: int) -> tuple[DataFrame, float]:
    """All rows of some users, chosen by a hash, and the share of positives among all rows.

    Of all users, if there are not very many rows.
    """
    found = prepared.agg(F.count(F.lit(1)).alias("rows"), F.sum(LABEL).alias("positives")).first()
    rows, positives = found["rows"], found["positives"]
    share = max(FOLD_ROWS / rows, FOLD_POSITIVES / max(positives, 1))
    if share >= 1:
        return prepared, positives / rows
    place = F.pmod(F.xxhash64(preprocessing.quote(keys[0]), F.lit(seed + 2)), F.lit(1_000_000))
    sample = prepared.filter(place < int(share * 1_000_000))
    sample = compact(sample, keys=keys, count=int(share * rows)).localCheckpoint()
    return sample, positives / rows


def _search(
    sample: DataFrame,
    learners: Sequence[Learner],
    lines: Mapping[str, list[list[Point]]],
    *,
    keys: Sequence[str],
    folds: int,
    fit_models: Callable[[list[Fit]], list[Model]],
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, list[Model]]]:
    """Of each learner's best point the out-of-fold log-odds and models; the scores of all tried.

    The first two points of each line are tried, and the next one as long as the last was the best:
    on few rows the many iterations of a weak penalty are spared.
    """
    same = [*keys, LABEL, FOLD]
    searches = [
        _Line(learner, f"{learner.name}.{i}", points)
        for learner in learners
        for i, points in enumerate(lines[learner.name])
    ]
    margins, models = None, {}
    while wanted := [(line, at) for line in searches for at in line.wanted()]:
        fitted = fit_models(
            [
                Fit(line.learner, line.points[at], fold)
                for line, at in wanted
                for fold in range(folds)
            ]
        )
        new = {
            f"{line.output}.{at}": fitted[i * folds :][:folds]
            for i, (line, at) in enumerate(wanted)
        }
        models |= new
        found = _out_of_fold(sample, new, keys=keys, folds=folds)
        margins = found if margins is None else margins.merge(found, on=same)
        for line, at in wanted:
            loss = np.logaddexp(0, (1 - 2 * found[LABEL]) * found[f"{line.output}.{at}"])
            line.losses.append(loss.groupby(found[FOLD]).mean())
    best = {
        learner.name: _simplest([line for line in searches if line.learner is learner])
        for learner in learners
    }
    scores = [
        (line.learner.name, str(line.points[i]), int(fold), float(loss), is_best)
        for line in searches
        for i, by_fold in enumerate(line.losses)
        for is_best in [best[line.learner.name] is line and i == line.best]
        for fold, loss in by_fold.items()
    ]
    names = ["learner", "point", "fold", "log_loss", "chosen"]
    chosen = {f"{line.output}.{line.best}": name for name, line in best.items()}
    return (
        margins[[*same, *chosen]].rename(columns=chosen),
        pd.DataFrame(scores, columns=names),
        {name: models[output] for output, name in chosen.items()},
    )


@dataclass
class _Line:
    """Points of a learner from the simplest on, and of those tried the loss of every fold."""

    learner: Learner
    output: str
    points: list[Point]
    losses: list[pd.Series] = field(default_factory=list)

    @property
    def best(self) -> int:
        return int(np.argmin([loss.mean() for loss in self.losses]))

    def wanted(self) -> range:
        """The points to try next: two, then one as long as the last was the best."""
        tried = len(self.losses)
        if tried and self.best < tried - 1:
            return range(0)
        return range(tried, min(max(2, tried + 1), len(self.points)))


def _simplest(lines: list[_Line]) -> _Line:
    """The first line, unless a later one is better by more than a standard error.

    Source: Breiman et al. (1984), the one-standard-error rule, over paired folds.
    """
    found, *others = lines
    for line in others:
        gain = found.losses[found.best] - line.losses[line.best]
        if gain.mean() > gain.sem():
            found = line
    return found


def _out_of_fold(
    sample: DataFrame, models: Mapping[str, list[Model]], *, keys: Sequence[str], folds: int
) -> pd.DataFrame:
    """The log-odds of each row by the model of its fold, a column for each of `models`.

    These are by name of the column, which begins with that of the learner. One Spark job.
    """
    branches, vectors = [], [name for name in VECTORS if name in sample.columns]
    for fold in range(folds):
        branch = sample.filter(F.col(FOLD) == fold)
        keep = [*map(preprocessing.quote, keys), LABEL, FOLD]
        for output, of_folds in models.items():
            margin = F.expr(_margin(output.split(".")[0])).alias(output)
            branch = of_folds[fold].transform(branch).select(*keep, *vectors, margin)
            keep.append(f"`{output}`")
        branches.append(branch.drop(*vectors))
    return reduce(DataFrame.unionAll, branches).toPandas()


def _margin(name: str) -> str:
    """SQL for a learner's clipped log-odds, on one scale for all of them."""
    column = tuning.columns(name)["probabilityCol"]
    yes, no = (f"greatest({_element(column, i)}, {CLIP}D)" for i in (1, 0))
    return f"ln({yes} / {no})"


def _element(column: str, index: int) -> str:
    """SQL for an element of a dense vector: `vector_to_array` is not a SQL function."""
    return f"cast(split(trim(both '[]' from cast({column} as string)), ',')[{index}] as double)"
