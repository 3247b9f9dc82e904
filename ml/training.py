"""Train on a table: check it, backtest every candidate, fit the one to deploy on all rows."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pandas as pd
from pyspark import inheritable_thread_target
from pyspark.ml import PipelineModel
from pyspark.sql import DataFrame

from ml import checks, evaluation, explaining, preprocessing, protocol, stacking
from ml.checks import TableSpec
from ml.evaluation import Gain
from ml.preprocessing import Columns, Feature
from ml.protocol import FOLD, LABEL
from ml.stacking import AVERAGE, BASE_RATE, STACK, Fitted
from ml.tuning import FAST, LEARNERS, Learner, Point

__all__ = ["TableSpec", "TrainOptions", "TrainingResult", "train"]

# Below this many churners in the backtest the summary warns of the interval's width.
FEW_CHURNERS = 100


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """How to train. The defaults suit a table of a few hundred to some ten thousand users.

    models: names of `ml.tuning.LEARNERS`. folds: of users, for tuning and stacking. origins: how
    many of the last dates to predict in the backtest. min_churners: users with a positive row,
    in all. min_origin_churners: positive rows to learn from at an origin. draws: of the bootstrap.
    parallelism: fits at a time.
    """

    models: tuple[str, ...] = FAST
    folds: int = 3
    origins: int = 3
    min_churners: int = 20
    min_origin_churners: int = 15
    draws: int = 1000
    seed: int = 0
    parallelism: int = 2


@dataclass(frozen=True, kw_only=True)
class TrainingResult:
    """What `train` found.

    pipeline: adds ml__log_odds and ml__probability to any table with `features`.
    candidate: the one deployed. points: each learner's chosen grid point.
    backtest: user, time, origin, candidate, y, p, flagged, one row per row predicted and candidate.
    metrics: see `evaluation.performance`. stack_gain: the stack over the best single learner;
    skill: the deployed candidate over the base rate. meta_weights: intercept and weights of the
    deployed stack, or, if it is not deployed, of the one fitted last in the backtest;
    out_of_fold: the log-odds it was fitted on (user, time, y, fold, a column a learner).
    tuning: learner, point, fold, log_loss, chosen, split. threshold: the probability with the
    best F1 in the backtest. typical: the reference row, and families the groups of features,
    of the explanations.
    """

    pipeline: PipelineModel
    candidate: str
    features: tuple[Feature, ...]
    backtest: pd.DataFrame
    metrics: pd.DataFrame
    stack_gain: Gain
    skill: Gain
    meta_weights: dict[str, float]
    points: dict[str, Point]
    tuning: pd.DataFrame
    out_of_fold: pd.DataFrame
    folds: int
    threshold: float
    typical: dict[str, object]
    families: dict[str, tuple[str, ...]]
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class _Plan:
    """What every fit of a run has in common."""

    spec: TableSpec
    columns: Columns
    row_count: int
    learners: tuple[Learner, ...]
    options: TrainOptions
    progress: Callable[[str], None]


@dataclass(frozen=True)
class _Run:
    """What the evaluation gave: predictions, tuning scores, the last fit, and warnings."""

    predictions: pd.DataFrame
    scores: pd.DataFrame
    last: Fitted
    warnings: tuple[str, ...] = ()


def train(
    rows: DataFrame,
    spec: TableSpec,
    *,
    options: TrainOptions,
    progress: Callable[[str], None],
) -> TrainingResult:
    """Tune, stack and evaluate on `rows`, and fit the candidate to deploy on all labelled rows.

    With `spec.time` the evaluation is a rolling-origin backtest: hyperparameters are chosen once,
    on what was known at the first origin. Without, it is user-level cross-validation, in which
    tuning, bases and stack are all learned anew without the users of each outer fold.

    Raises:
        TableMismatch: a column of `spec` is missing or has a wrong type or values.
        NotTrainable: no labelled rows, one class, too few churners, no features.
        ValueError: an unknown learner.
    """
    learners = _learners(options)
    columns = checks.check_schema(rows, spec)
    labelled, found = checks.label_rows(rows, spec)
    checks.check_enough(found, min_churners=options.min_churners)
    columns = preprocessing.screen(labelled, columns, users=found.users)
    checks.check_features(columns)
    data = labelled.select(
        *map(preprocessing.quote, spec.keys), LABEL, *map(preprocessing.quote, columns.names)
    )
    data = protocol.compact(data, keys=spec.keys, count=found.rows).persist()
    plan = _Plan(spec, columns, found.rows, learners, options, progress)
    try:
        run = _rolling(data, plan) if spec.time else _by_user(data, plan)
        progress("Measuring every candidate against its baseline")
        return _result(data, plan, run)
    finally:
        data.unpersist()


def _rolling(data: DataFrame, plan: _Plan) -> _Run:
    """Tune at the first origin; predict it and every later one from what was known there."""
    spec, options = plan.spec, plan.options
    origins = protocol.rolling_origins(
        data,
        user=spec.id,
        time=spec.time,
        horizon_days=spec.horizon_days,
        count=options.origins,
        min_churners=options.min_origin_churners,
        min_users=2 * options.folds,
    )
    splits = [
        (
            str(origin),
            protocol.training_rows(
                data, time=spec.time, horizon_days=spec.horizon_days, origin=origin
            ),
            protocol.test_rows(data, time=spec.time, origin=origin),
        )
        for origin in origins.kept
    ]
    grids = {learner.name: learner.points() for learner in plan.learners}
    name, train_rows, _ = splits[0]
    plan.progress(f"Tuning {len(grids)} learners on what was known on {name}")
    first = _fit(train_rows, plan, grids, parallelism=options.parallelism)
    plan.progress(f"Predicting {len(splits)} past dates, each from what was known then")

    # Only so does a thread know the session of a Spark Connect client.
    @inheritable_thread_target(data.sparkSession)
    def backtest(split: tuple[str, DataFrame, DataFrame]) -> tuple[Fitted, pd.DataFrame]:
        name, train_rows, test = split
        fitted = first if name == splits[0][0] else _fit(train_rows, plan, first.points)
        return fitted, _predict(test, plan, fitted, split=name)

    with ThreadPoolExecutor(options.parallelism) as pool:
        fits, predictions = zip(*pool.map(backtest, splits), strict=True)
    scores = first.scores.assign(split=name)
    return _Run(pd.concat(predictions), scores, fits[-1], origins.left_out)


def _by_user(data: DataFrame, plan: _Plan) -> _Run:
    """Predict each outer fold of users from all others, tuning included; tune on all at last."""
    options = plan.options
    # Another seed than for the inner folds: else those would be the outer ones again.
    outer = protocol.user_folds(
        data, user=plan.spec.id, folds=options.folds, seed=options.seed + 1
    ).persist()
    grids = {learner.name: learner.points() for learner in plan.learners}
    plan.progress(f"Tuning {len(grids)} learners in {options.folds} folds of users")

    in_thread = inheritable_thread_target(data.sparkSession)

    @in_thread
    def crossed(fold: int) -> tuple[pd.DataFrame, pd.DataFrame]:
        train_rows = outer.filter(outer[FOLD] != fold).drop(FOLD)
        fitted = _fit(train_rows, plan, grids)
        test = outer.filter(outer[FOLD] == fold)
        name = f"fold {fold}"
        return _predict(test, plan, fitted, split=name), fitted.scores.assign(split=name)

    try:
        with ThreadPoolExecutor(options.parallelism) as pool:
            last = pool.submit(in_thread(_fit), data, plan, grids)
            folds = list(pool.map(crossed, range(options.folds)))
    finally:
        outer.unpersist()
    fitted = last.result()
    predictions, scores = zip(*folds, strict=True)
    scores = [*scores, fitted.scores.assign(split="all rows")]
    return _Run(pd.concat(predictions), pd.concat(scores), fitted)


def _fit(
    train_rows: DataFrame,
    plan: _Plan,
    points: dict[str, list[Point]],
    *,
    parallelism: int = 1,
) -> Fitted:
    return stacking.fit(
        train_rows,
        plan.columns,
        keys=plan.spec.keys,
        learners=plan.learners,
        points=points,
        folds=plan.options.folds,
        count=plan.row_count,
        seed=plan.options.seed,
        parallelism=parallelism,
    )


def _predict(test: DataFrame, plan: _Plan, fitted: Fitted, *, split: str) -> pd.DataFrame:
    """What every candidate says of `test`: user, time, origin, candidate, y, p, flagged."""
    margins = stacking.margins(test, fitted, keys=plan.spec.keys)
    learned = stacking.candidates(fitted.out_of_fold, fitted)
    y = fitted.out_of_fold[LABEL].to_numpy()
    parts = []
    for name, p in stacking.candidates(margins, fitted).items():
        # The base rate says that nobody churns: it has no order to choose a threshold by.
        threshold = 1.0 if name == BASE_RATE else evaluation.best_threshold(y, learned[name])
        parts.append(
            pd.DataFrame(
                {
                    "user": margins[plan.spec.id],
                    "time": margins[plan.spec.time] if plan.spec.time else None,
                    "origin": split,
                    "candidate": name,
                    "y": margins[LABEL].astype(int),
                    "p": p,
                    "flagged": p >= threshold,
                }
            )
        )
    return pd.concat(parts)


def _result(data: DataFrame, plan: _Plan, run: _Run) -> TrainingResult:
    """Measure the predictions, choose the candidate, and fit it on all rows."""
    sampling = {"draws": plan.options.draws, "seed": plan.options.seed}
    backtest = run.predictions.sort_values(
        ["candidate", "origin", "user"], kind="stable", ignore_index=True
    )
    metrics = evaluation.performance(backtest, **sampling)
    losses = metrics[metrics["metric"] == "log_loss"].set_index("candidate")["value"]
    best = losses[[learner.name for learner in plan.learners]].idxmin()
    chosen = _simplest(backtest, losses, order=(best, AVERAGE, STACK), **sampling)
    plan.progress(f"Fitting {chosen} on all {plan.row_count} labelled rows")
    pipeline, fitted = _deploy(data, plan, run, chosen)
    predicted = backtest[backtest["candidate"] == chosen]
    names = {**dict(zip(plan.spec.keys, ("user", "time"), strict=False)), LABEL: "y", FOLD: "fold"}
    return TrainingResult(
        pipeline=pipeline,
        candidate=chosen,
        features=plan.columns.features,
        backtest=backtest,
        metrics=metrics,
        stack_gain=evaluation.log_loss_gain(backtest, candidate=STACK, reference=best, **sampling),
        skill=evaluation.log_loss_gain(backtest, candidate=chosen, reference=BASE_RATE, **sampling),
        meta_weights=fitted.meta_weights,
        points={name: points[0] for name, points in fitted.points.items()},
        tuning=run.scores,
        out_of_fold=fitted.out_of_fold.rename(columns=names),
        folds=plan.options.folds,
        threshold=evaluation.best_threshold(predicted["y"].to_numpy(), predicted["p"].to_numpy()),
        typical=preprocessing.typical_row(data, plan.columns),
        families=explaining.families(plan.columns.names),
        warnings=_warnings(plan, run, metrics),
    )


def _deploy(data: DataFrame, plan: _Plan, run: _Run, chosen: str) -> tuple[PipelineModel, Fitted]:
    """`chosen` fitted on all rows, and the fit that shows how the stack weighs its learners."""
    if chosen == STACK:
        fitted = _fit(data, plan, run.last.points, parallelism=plan.options.parallelism)
        models = {name: tuned.model for name, tuned in fitted.bases.items()}
        return stacking.pipeline(fitted.preparation, models, meta=fitted.meta), fitted
    average = stacking.fit_average(
        data,
        plan.columns,
        keys=plan.spec.keys,
        learners=[each for each in plan.learners if chosen in (each.name, AVERAGE)],
        points=run.last.points,
        count=plan.row_count,
        seed=plan.options.seed,
    )
    return average, run.last


def _simplest(
    backtest: pd.DataFrame, losses: pd.Series, *, order: tuple[str, ...], draws: int, seed: int
) -> str:
    """The first of `order` whose log loss is within one standard error of the best of them.

    Source: Breiman et al. (1984), the one-standard-error rule; here the error is of the paired
    difference.
    """
    best = losses[list(order)].idxmin()
    for name in order:
        gain = evaluation.log_loss_gain(
            backtest, candidate=best, reference=name, draws=draws, seed=seed
        )
        if gain.value <= gain.standard_error:
            return name
    return best


def _warnings(plan: _Plan, run: _Run, metrics: pd.DataFrame) -> tuple[str, ...]:
    """What a reader of the result should know, as sentences."""
    found = [*run.warnings]
    churners = int(metrics["churner_count"].iloc[0])
    if churners < FEW_CHURNERS:
        found.append(
            f"The intervals are wide because only {churners} users churned in the backtest."
        )
    if plan.columns.dropped:
        dropped = "; ".join(f"{name} ({reason})" for name, reason in plan.columns.dropped)
        found.append(f"Columns that are not used: {dropped}.")
    return tuple(found)


def _learners(options: TrainOptions) -> tuple[Learner, ...]:
    unknown = [name for name in options.models if name not in LEARNERS]
    if unknown or not options.models:
        raise ValueError(f"Unknown learners {unknown}; choose among {', '.join(LEARNERS)}.")
    return tuple(LEARNERS[name] for name in options.models)
