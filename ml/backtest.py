"""Every candidate's predictions of rows that it never learned from."""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count

import pandas as pd
from pyspark.sql import Column, DataFrame

from ml import evaluation, parsing, preprocessing, protocol, stacking
from ml.options import TrainOptions
from ml.parallel import in_threads
from ml.preprocessing import Columns
from ml.protocol import FOLD, LABEL, Origins
from ml.stacking import BASE_RATE, Fitted
from ml.table_spec import TableSpec
from ml.tuning import Learner, Point

# The name of a date, which rows were known there, and which are predicted.
Split = tuple[str, Column, Column]
# What a team without a model would sort its users by.
INACTIVITY = "days_since_last_active"
# Who pays: what a user is worth may depend on it.
PAID = "is_paid"
# The split of tuning scores for the model that is deployed.
ALL_ROWS = "all rows"


@dataclass(frozen=True)
class Plan:
    """What every fit of a run has in common. also: see `judged_with`."""

    spec: TableSpec
    columns: Columns
    row_count: int
    learners: tuple[Learner, ...]
    options: TrainOptions
    progress: Callable[[str], None]
    also: Mapping[str, str]


@dataclass(frozen=True)
class Run:
    """What the evaluation gave: predictions, tuning scores, the last fit, and warnings.

    last_date: of the labelled rows, None of a table without dates, which has no splits either.
    """

    predictions: pd.DataFrame
    scores: pd.DataFrame
    last: Fitted
    warnings: tuple[str, ...] = ()
    last_date: dt.date | None = None
    splits: tuple[Split, ...] = ()


def judged_with(columns: Columns, types: Mapping[str, str], spec: TableSpec) -> dict[str, str]:
    """What else of a row its prediction is judged with: by name, the column of the table.

    types: by name, the Spark type of every column. Who pays is known of a column that is not
    learned from, too: where all users pay, or none does, it tells nothing of churn.
    """
    kinds = {feature.name: feature.kind for feature in columns.features}
    found = {"inactivity": INACTIVITY} if kinds.get(INACTIVITY) == "numeric" else {}
    pays = PAID in types and PAID not in (*spec.keys, spec.label)
    return found | ({"is_paid": PAID} if pays else {})


def rolling(data: DataFrame, plan: Plan, origins: Origins, splits: Sequence[Split]) -> Run:
    """Predict every origin from what was known there; `origins` and `splits` from `find_splits`.

    Points are chosen at the first origin, so that none has seen its own future; learners,
    calibration and stack learn anew at each.
    """
    options = plan.options
    grids = {learner.name: learner.points(plan.columns) for learner in plan.learners}
    name, is_known, _ = splits[0]
    tuning = f"Tuning {_learners_in_words(grids)} on what was known on {name}"
    plan.progress(tuning)
    fitted_models = count(1)
    first = fit(
        data.filter(is_known),
        plan,
        grids,
        parallelism=options.parallelism,
        # How many there will be a search knows when it ends.
        progress=lambda *_: plan.progress(f"{tuning}: {next(fitted_models)} models"),
    )
    dates = f"{len(splits)} past dates, each" if len(splits) > 1 else "a past date"
    told = f"Predicting {dates} from what was known then"
    plan.progress(told)

    def backtest(split: Split) -> tuple[Fitted, pd.DataFrame]:
        name, is_known, is_predicted = split
        fitted = first if name == splits[0][0] else refit(first, data.filter(is_known), plan)
        return fitted, _predict(data.filter(is_predicted), plan, fitted, split=name)

    tasks = [partial(backtest, split) for split in splits]
    found = in_threads(
        data.sparkSession,
        tasks,
        parallelism=options.parallelism,
        progress=lambda done, of: plan.progress(f"{told}: {done} of {of}"),
    )
    fits, predictions = zip(*found, strict=True)
    scores = first.scores.assign(split=name)
    return Run(
        predictions=pd.concat(predictions),
        scores=scores,
        last=fits[-1],
        warnings=origins.left_out,
        last_date=origins.last_date,
        splits=tuple(splits),
    )


def find_splits(
    data: DataFrame, spec: TableSpec, options: TrainOptions
) -> tuple[Origins, list[Split]]:
    """The dates to predict, and of each what was known there and what is predicted.

    Raises:
        NotTrainable: too little was known at every date.
    """
    origins = protocol.rolling_origins(
        data,
        user=spec.id,
        time=spec.time,
        horizon_days=spec.horizon_days,
        count=options.origins,
        min_churners=options.min_origin_churners,
        min_users=2 * options.folds,
    )
    known = partial(protocol.is_known, spec.time, horizon_days=spec.horizon_days)
    return origins, [
        (str(origin), known(origin=origin), protocol.is_as_of(spec.time, origin=origin))
        for origin in origins.kept
    ]


def by_user(data: DataFrame, plan: Plan) -> Run:
    """Predict each outer fold of users from all others, tuning included; tune on all at last."""
    options = plan.options
    # Another seed than for the inner folds: else those would be the outer ones again.
    outer = protocol.user_folds(
        data, user=plan.spec.id, folds=options.folds, seed=options.seed + 1
    ).persist()
    grids = {learner.name: learner.points(plan.columns) for learner in plan.learners}
    told = f"Tuning {_learners_in_words(grids)} in {options.folds} folds of users, and on all"
    plan.progress(told)

    def crossed(fold: int) -> tuple[Fitted, pd.DataFrame]:
        train_rows = outer.filter(outer[FOLD] != fold).drop(FOLD)
        fitted = fit(train_rows, plan, grids)
        test = outer.filter(outer[FOLD] == fold)
        return fitted, _predict(test, plan, fitted, split=f"fold {fold}")

    tasks = [partial(crossed, fold) for fold in range(options.folds)]
    try:
        (last, _), *found = in_threads(
            data.sparkSession,
            [lambda: (fit(data, plan, grids), None), *tasks],
            parallelism=options.parallelism,
            progress=lambda done, of: plan.progress(f"{told}: {done} of {of}"),
        )
    finally:
        outer.unpersist()
    fits, predictions = zip(*found, strict=True)
    scores = [each.scores.assign(split=f"fold {fold}") for fold, each in enumerate(fits)]
    return Run(
        pd.concat(predictions), pd.concat([*scores, last.scores.assign(split=ALL_ROWS)]), last
    )


def fit(
    train_rows: DataFrame,
    plan: Plan,
    points: Mapping[str, list[Point]],
    *,
    parallelism: int = 1,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> Fitted:
    """Everything that is learned from `train_rows`: see `stacking.fit`."""
    settings = _settings(plan) | {"parallelism": parallelism, "progress": progress}
    return stacking.fit(train_rows, plan.columns, learners=plan.learners, points=points, **settings)


def refit(first: Fitted, train_rows: DataFrame, plan: Plan) -> Fitted:
    """`first`, fitted anew to `train_rows`: see `stacking.refit`."""
    return stacking.refit(first, train_rows, plan.columns, **_settings(plan))


def _settings(plan: Plan) -> dict:
    return {
        "keys": plan.spec.keys,
        "folds": plan.options.folds,
        "count": plan.row_count,
        "seed": plan.options.seed,
        "parallelism": 1,
    }


def _predict(test: DataFrame, plan: Plan, fitted: Fitted, *, split: str) -> pd.DataFrame:
    """What every candidate says of `test`: the backtest of a TrainingResult."""
    also = {name: preprocessing.quote(column) for name, column in plan.also.items()}
    if "is_paid" in also:
        also["is_paid"] = parsing.truth(also["is_paid"])
    also["row"] = preprocessing.row_hash(plan.columns.features)
    more = {f"ml__{name}": value for name, value in also.items()}
    margins = stacking.margins(test, fitted, keys=plan.spec.keys, more=more)
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
                    "inactivity": margins.get("ml__inactivity"),
                    "is_paid": margins.get("ml__is_paid"),
                    "row": margins["ml__row"],
                }
            )
        )
    return pd.concat(parts)


def _learners_in_words(grids: Mapping[str, object]) -> str:
    """How many learners there are."""
    return f"{len(grids)} learner{'s' if len(grids) > 1 else ''}"
