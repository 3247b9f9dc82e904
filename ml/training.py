"""Train on a table: check it, backtest every candidate, fit the one to deploy on all rows."""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import pandas as pd
from pyspark.ml import PipelineModel
from pyspark.sql import DataFrame

from ml import (
    backtest,
    calibration,
    economics,
    evaluation,
    explaining,
    exposure,
    leakage,
    model_selection,
    preprocessing,
    protocol,
    stacking,
    table_spec,
)
from ml.backtest import ALL_ROWS, PAID, Plan, Run
from ml.covariate_shift import MAX_ROUNDS, NO_ROWS, Shift, check_scoring, find_shift
from ml.drift import Reference, find_reference
from ml.economics import MaximumProfit, Offer
from ml.errors import TableMismatch
from ml.evaluation import Gain
from ml.options import TrainOptions
from ml.parallel import in_threads
from ml.preprocessing import Columns, Feature
from ml.protocol import FOLD, LABEL
from ml.scoring import check_columns
from ml.stacking import AVERAGE, BASE_RATE, STACK, Fitted
from ml.table_spec import Labelled, TableSpec
from ml.tuning import LEARNERS, Point
from ml.wording import Wording

__all__ = ["TableSpec", "TrainOptions", "TrainingResult", "train"]

# Below this many churners in the backtest the summary warns of the interval's width.
FEW_CHURNERS = 100


@dataclass(frozen=True, kw_only=True)
class TrainingResult:
    """What `train` found.

    pipeline: adds ml__log_odds and ml__probability to any table with `features`. offered: the
    columns that these were screened from; core: those of `features` that little data is enough for.
    candidate: the one deployed. points: each learner's chosen grid point.
    backtest: user, time, origin, candidate, y, p, flagged, inactivity, is_paid, row, one row per
    row predicted and candidate; row is a hash of its features, and the two before are null where
    the table does not have them.
    metrics: see `evaluation.performance`; calibration: see `calibration.reliability`, policies:
    see `economics.policies`, profit: see `economics.profit_curve`, of the deployed candidate;
    maximum_profit: the most it could earn, and by contacting which share.
    choice: see `model_selection.Choice`. stack_gain: the stack over the best single learner;
    skill: the deployed candidate over the base rate. meta_weights: intercept and weights of the
    deployed stack, or, if it is not deployed, of the one fitted last in the backtest;
    out_of_fold: the log-odds it was fitted on (user, time, y, fold, a column a learner).
    tuning: learner, point, fold, log_loss, chosen, split. threshold: the probability with the
    best F1 in the backtest. typical: the reference row, families the groups of features, wording
    their sentences, and average_risk the share of churners in all rows, of the explanations.
    row_count: of all rows.
    offer: what every profit rests on. shift: how far the rows to be scored differ, if they were
    given. learned_until: the last as-of date learned from, None of a table without dates.
    reference: of the rows learned from, what drift is measured against.
    """

    pipeline: PipelineModel
    candidate: str
    features: tuple[Feature, ...]
    backtest: pd.DataFrame
    metrics: pd.DataFrame
    calibration: pd.DataFrame
    policies: pd.DataFrame
    profit: pd.DataFrame
    maximum_profit: MaximumProfit
    choice: pd.DataFrame
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
    offer: Offer = Offer()
    wording: Mapping[str, Wording] = field(default_factory=dict)
    average_risk: float | None = None
    row_count: int | None = None
    shift: Shift | None = None
    learned_until: dt.date | None = None
    reference: Reference | None = None
    offered: tuple[str, ...] = ()
    core: tuple[str, ...] = ()

    @property
    def churner_unit(self) -> str:
        """What a positive row of the backtest is: a user has one for each date before a churn."""
        return churner_unit(self.backtest["time"])


def churner_unit(times: pd.Series) -> str:
    """What is counted where a user counts once on each of these dates; missing dates are none."""
    dates = pd.Series(times.dropna().unique())
    if len(dates) < 2:
        return "churners"
    gaps = pd.to_datetime(dates.astype(str), errors="coerce").sort_values().diff().dropna()
    is_weekly = len(gaps) == len(dates) - 1 and (gaps.dt.days % 7 == 0).all()
    return "churner-weeks" if is_weekly else "churners, counted anew on each date"


def train(
    rows: DataFrame,
    spec: TableSpec,
    *,
    options: TrainOptions,
    progress: Callable[[str], None],
    scoring: DataFrame | None = None,
) -> TrainingResult:
    """Tune, stack and evaluate on `rows`, and fit the candidate to deploy on all labelled rows.

    With `spec.time` the evaluation is a rolling-origin backtest: hyperparameters are chosen once,
    on what was known at the first origin, and for the candidate to deploy once more on all rows.
    Without, it is user-level cross-validation, in which
    tuning, bases and stack are all learned anew without the users of each outer fold.
    `scoring`, the rows to be scored, are held against the training rows (see
    `covariate_shift.find_shift`); their features decide what `options.stable_only` leaves out.

    Raises:
        TableMismatch: a column of `spec` is missing or has a wrong type or values.
        NotTrainable: no labelled rows, one class, too few churners, no features, a column that
            knows the outcome.
        ValueError: stable_only without `scoring`.
    """
    learners = tuple(LEARNERS[name] for name in options.models)
    if options.stable_only and scoring is None:
        raise ValueError("stable_only compares with the rows to be scored: give their table.")
    # What is looked at several times is read once, whatever it takes to read it.
    read = rows.select("*").persist()
    try:
        labelled, found, columns = _checked(read, spec, options, scoring)
        also = backtest.judged_with(columns, dict(labelled.dtypes), spec)
        names = dict.fromkeys((*spec.keys, LABEL, *columns.names, *also.values()))
        data = labelled.select(*map(preprocessing.quote, names))
        # A checkpoint, not a cache: Spark knows that one partition needs no exchange.
        data = protocol.compact(data, keys=spec.keys, count=found.rows).localCheckpoint()
    finally:
        read.unpersist()
    allowed = leakage.refuse_leaks(data, columns, user=spec.id, found=found, allow=spec.allow)
    columns = replace(columns, notes=columns.notes + allowed)
    if scoring is not None:
        scoring = _comparable(scoring, columns, spec)
    plan = Plan(spec, columns, found.rows, learners, options, progress, also)
    plan, run, shifted = _evaluated(data, plan, scoring)
    progress("Measuring every candidate against its baseline")
    return _result(data, plan, run, shifted, average_risk=found.positives / found.rows)


def _checked(
    rows: DataFrame, spec: TableSpec, options: TrainOptions, scoring: DataFrame | None
) -> tuple[DataFrame, Labelled, Columns]:
    """The labelled rows, their counts, and the columns worth learning from, texts as read.

    Five Spark jobs at most, and three for a column of exposure.
    """
    columns = replace(table_spec.check_schema(rows, spec), core=spec.core)
    rows, notes = table_spec.of_closed_dates(rows, spec)
    columns = replace(columns, notes=columns.notes + notes + table_spec.outlived(rows, spec))
    notes = exposure.find_notes(table_spec.with_label(rows, spec), spec, scoring)
    columns = replace(columns, notes=columns.notes + notes)
    kept = exposure.long_enough(rows, spec)
    if kept is not rows:
        # What is wrong in rows that are left out is wrong all the same.
        table_spec.label_rows(rows, spec)
    labelled, found = table_spec.label_rows(kept, spec)
    table_spec.check_enough(found, min_churners=options.min_churners)
    if spec.time is None:
        others = found.users - found.churners
        protocol.check_outer_folds(found.churners, others, folds=options.folds)
    columns = preprocessing.find_written(labelled, columns)
    labelled = preprocessing.read_written(labelled, columns.features)
    columns = preprocessing.screen(labelled, columns, keys=spec.keys, users=found.users)
    table_spec.check_features(columns)
    return labelled, found, columns


def _comparable(scoring: DataFrame, columns: Columns, spec: TableSpec) -> DataFrame:
    """The rows to be scored, read as the columns to learn from are."""
    check_scoring(scoring, columns, user=spec.id)
    check_columns(scoring, columns, keys=[spec.id], called="The table to be scored")
    # Here, for the comparison itself ends when the training does.
    if scoring.isEmpty():
        raise TableMismatch(NO_ROWS)
    return preprocessing.read_written(scoring, columns.features)


def _evaluated(
    data: DataFrame, plan: Plan, scoring: DataFrame | None
) -> tuple[Plan, Run, Shift | None]:
    """The evaluation, and beside it how far the rows to be scored differ.

    Only where that decides what is learned from, it comes first.
    """
    options, shifted = plan.options, None
    found = backtest.find_splits(data, plan.spec, options) if plan.spec.time else ()

    def find() -> tuple[Columns, Shift]:
        splits = found[1] if found else ()
        past = [(name, *map(data.filter, sides)) for name, *sides in splits]
        return compare(data, scoring, plan.columns, plan.spec, options, past=past)

    if options.stable_only:
        plan.progress("Comparing the rows to be scored with the training rows")
        columns, shifted = find()
        plan = replace(plan, columns=columns)
    evaluate = partial(backtest.rolling if found else backtest.by_user, data, plan, *found)
    if scoring is None or shifted:
        return plan, evaluate(), shifted
    run, (columns, shifted) = in_threads(data.sparkSession, [evaluate, find], parallelism=2)
    return replace(plan, columns=columns), run, shifted


def compare(
    data: DataFrame,
    scoring: DataFrame,
    columns: Columns,
    spec: TableSpec,
    options: TrainOptions,
    *,
    past: Sequence[tuple[str, DataFrame, DataFrame]] = (),
) -> tuple[Columns, Shift]:
    """The columns to learn from, with a note where the rows to be scored differ unusually.

    past: by name, what was known at each date of the backtest and what was predicted, whose own
    differences are usual; who wants stable columns only does without these as well.
    """
    past = () if options.stable_only else past
    # To say how far they differ takes two rounds; to leave out all that tells, as many as help.
    rounds = MAX_ROUNDS if options.stable_only else 2
    found = find_shift(
        data, scoring, columns, user=spec.id, past=past, rounds=rounds, seed=options.seed
    )
    if found.is_unusual:
        columns = replace(columns, notes=(*columns.notes, found.summary))
    elif options.stable_only:
        note = f"Stable-only leaves out nothing. {found.summary}"
        columns = replace(columns, notes=(*columns.notes, note))
    if options.stable_only:
        reason = "tells rows to score from training rows"
        columns = preprocessing.leave_out(columns, found.unstable, reason=reason)
        table_spec.check_features(columns)
    return columns, found


def _result(
    data: DataFrame, plan: Plan, run: Run, shifted: Shift | None, *, average_risk: float
) -> TrainingResult:
    """Measure the predictions, choose the candidate, and fit it on all rows."""
    options, wording = plan.options, plan.spec.wording
    sampling = {"draws": options.draws, "seed": options.seed}
    predictions = run.predictions.sort_values(
        ["candidate", "origin", "user"], kind="stable", ignore_index=True
    )
    # Profits of a model as a whole are of a user's mean value, those of a campaign of each user's.
    mean_offer = options.offer.on_average(predictions)
    metrics = evaluation.performance(predictions, offer=mean_offer, **sampling)
    learners = [name for name in LEARNERS if name in options.models]
    chosen = model_selection.choose(predictions, metrics, learners, **sampling)
    plan.progress(f"Fitting {chosen.candidate} on all {plan.row_count} labelled rows")
    pipeline, fitted = _deploy(data, plan, run, chosen.candidate)
    stack = fitted if chosen.candidate == STACK else run.last
    last = [] if fitted is run.last else [fitted.scores.assign(split=ALL_ROWS)]
    deployed = predictions[predictions["candidate"] == chosen.candidate]
    y, p = deployed["y"].to_numpy(), deployed["p"].to_numpy()
    gain = partial(evaluation.log_loss_gain, predictions, **sampling)
    names = {**dict(zip(plan.spec.keys, ("user", "time"), strict=False)), LABEL: "y", FOLD: "fold"}
    return TrainingResult(
        pipeline=pipeline,
        candidate=chosen.candidate,
        features=plan.columns.features,
        backtest=predictions,
        metrics=metrics,
        calibration=calibration.reliability(deployed, **sampling),
        policies=economics.policies(deployed, options.offer, **sampling),
        profit=economics.profit_curve(deployed, options.offer, **sampling),
        maximum_profit=economics.expected_maximum_profit(y, p, mean_offer),
        choice=chosen.table,
        stack_gain=gain(candidate=STACK, reference=chosen.best_single),
        skill=gain(candidate=chosen.candidate, reference=BASE_RATE),
        meta_weights=stack.meta_weights,
        points={name: each[0] for name, each in (run.last.points | fitted.points).items()},
        tuning=pd.concat([run.scores, *last], ignore_index=True),
        out_of_fold=stack.out_of_fold.rename(columns=names),
        folds=options.folds,
        threshold=evaluation.best_threshold(y, p),
        typical=preprocessing.typical_row(data, plan.columns),
        families=explaining.families(plan.columns.names, wording),
        wording={name: wording[name] for name in plan.columns.names if name in wording},
        average_risk=average_risk,
        row_count=plan.row_count,
        offer=options.offer,
        shift=shifted,
        learned_until=run.last_date,
        reference=find_reference(data, plan.columns, user=plan.spec.id, past=run.splits),
        core=plan.columns.core,
        offered=(*plan.columns.names, *(name for name, _ in plan.columns.dropped)),
        warnings=_warnings(plan, run, metrics),
    )


def _deploy(data: DataFrame, plan: Plan, run: Run, chosen: str) -> tuple[PipelineModel, Fitted]:
    """`chosen`, tuned, calibrated and fitted on all rows, and the fit it comes from."""
    fitted = run.last
    if plan.spec.time:
        # The last fit of a backtest knows neither the last rows nor its own points.
        learners = tuple(each for each in plan.learners if chosen in (each.name, AVERAGE, STACK))
        grids = {learner.name: learner.points(plan.columns) for learner in learners}
        plan = replace(plan, learners=learners)
        fitted = backtest.fit(data, plan, grids, parallelism=plan.options.parallelism)
    return stacking.deployed(fitted, chosen), fitted


def _warnings(plan: Plan, run: Run, metrics: pd.DataFrame) -> tuple[str, ...]:
    """What a reader of the result should know, as sentences."""
    found = [*run.warnings, *plan.columns.notes]
    if plan.options.offer.free_value is not None and run.predictions["is_paid"].isna().all():
        found.append(f"No row says who pays (true or false as `{PAID}`): all count as free.")
    churners = int(metrics["churner_count"].iloc[0])
    if churners < FEW_CHURNERS:
        found.append(
            "The intervals are wide because only "
            f"{churners} user{'s' * (churners != 1)} churned in the backtest."
        )
    if plan.columns.dropped:
        names_by_reason: dict[str, list[str]] = {}
        for name, reason in plan.columns.dropped:
            names_by_reason.setdefault(reason, []).append(name)
        dropped = "; ".join(
            f"{', '.join(names)} ({reason})" for reason, names in names_by_reason.items()
        )
        found.append(f"Columns that are not used: {dropped}.")
    return tuple(found)
