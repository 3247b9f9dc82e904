"""What `sparkify train` does, on the snapshots or on a table of the user's own."""

from dataclasses import replace

from pyspark.sql import DataFrame, SparkSession

from sparkify import ledger, own_table
from sparkify.datasets import (
    AS_OF_THEN,
    FEATURES,
    SNAPSHOTS,
    Dataset,
    check_one_build,
    feature_table,
    read_own_table,
    whole_history,
)
from sparkify.errors import BadInput, WrongUse
from sparkify.formatting import split
from sparkify.identity import ERASED
from sparkify.lock import is_shared, run_held
from sparkify.registered import OWN_MODEL, PUBLIC, champion_of, check_kind, registry
from sparkify.settings import Settings
from sparkify.sources import append, append_pandas, now
from sparkify.stages import check_tables, open_stage
from sparkify.summary import show_training
from sparkify.terminal import line, stage
from sparkify.transform import Say

# How far the label of an own table with dates looks ahead, where nobody says.
HORIZON_DAYS = 14
# How long a trained model waits for a run of somebody else to end, in seconds.
PATIENCE_S = 3600


def train_command(
    settings: Settings,
    *,
    feature_version: int | None,
    exclude: str,
    models: tuple[str, ...],
    origins: int,
    seed: int,
    stable_only: bool,
    name: str | None,
    **own,
) -> None:
    """`sparkify train`: on the snapshots, once they pass their checks, or on an own table.

    `own`: what describes an own table; see `train_own_table`.
    """
    from ml.options import TrainOptions

    chosen = {"models": models} if models else {}
    try:
        options = TrainOptions(
            origins=origins,
            seed=seed,
            offer=settings.offer,
            stable_only=stable_only,
            **chosen,
        )
    except ValueError as error:
        raise WrongUse(str(error)) from error
    left_out = tuple(split(exclude))
    if own["table"] is not None:
        if feature_version is not None:
            raise WrongUse("--feature-version is of the snapshots: leave out --table")
        trained = train_own_table(settings, options=options, exclude=left_out, name=name, **own)
        show_training(*trained)
        if own["time"] and own["horizon_days"] is None:
            line(
                f"The label was taken to look {HORIZON_DAYS} days ahead; --horizon-days says "
                "otherwise."
            )
        return
    if any(own[name] is not None for name in own.keys() - {"table", "allow"}):
        raise WrongUse(
            "--id, --label, --time, --to-score, --exposure, --min-exposure and --horizon-days "
            "describe a table: add --table. Another horizon of the snapshots is the var "
            "horizon_days, given by --vars to `sparkify run --events PATH`"
        )
    if stable_only and feature_version is not None:
        raise WrongUse(
            "--stable-only compares with the users to be scored now, so it does not go with "
            "--feature-version; name the columns with --exclude instead"
        )
    check_kind(settings, name or settings.model, is_own=False)
    spark = open_stage(settings)
    if feature_version is None:
        with stage("Checking the expectations"):
            feature_table(spark, settings, SNAPSHOTS)
            check_tables(spark, settings, [SNAPSHOTS])
    trained = train_snapshots(
        spark,
        settings,
        options=options,
        model=name,
        version=feature_version,
        exclude=left_out,
        allow=tuple(split(own["allow"])),
    )
    show_training(*trained)


def train_own_table(
    settings: Settings,
    *,
    options,
    exclude: tuple[str, ...],
    name: str | None,
    table: str,
    id_column: str | None,
    label: str | None,
    time: str | None,
    allow: str,
    horizon_days: int | None,
    to_score: str | None,
    exposure: str | None,
    min_exposure: float | None,
):
    """Train on a table of the user's own; with `to_score`, compare the rows to be scored."""
    if not (id_column and label):
        raise WrongUse("--table needs --id and --label, the columns of user and churn")
    if options.stable_only and to_score is None:
        raise WrongUse(
            "--stable-only compares with the rows to be scored: add --to-score PATH_OR_NAME"
        )
    if min_exposure is not None and exposure is None:
        raise WrongUse("--min-exposure is of a column: name it with --exposure")
    check_kind(settings, name or OWN_MODEL, is_own=True)
    source = own_table.find_source(table)
    own_table.check_columns(source, id=id_column, label=label, time=time)
    unlabelled = own_table.find_source(to_score) if to_score else None
    if unlabelled:
        own_table.check_columns(unlabelled, id=id_column)
    spark = open_stage(settings)
    own = read_own_table(
        spark,
        settings,
        source,
        id=id_column,
        label=label,
        time=time,
        exclude=exclude,
        allow=tuple(split(allow)),
        horizon_days=horizon_days or (HORIZON_DAYS if time else None),
        exposure=exposure,
        min_exposure=min_exposure,
    )
    scoring = None
    if unlabelled:
        with own_table.readable(unlabelled.given):
            scoring = read_own_table(spark, settings, unlabelled, id=id_column).rows
            own_table.check_users(scoring, id=id_column, time=time)
    with (
        own_table.readable(source.given),
        stage("Tuning, stacking and testing the models") as say,
    ):
        return fit_and_register(
            settings,
            own,
            options=options,
            model=name or OWN_MODEL,
            say=say,
            scoring=scoring,
        )


def train_snapshots(
    spark: SparkSession,
    settings: Settings,
    *,
    options=None,
    model: str | None = None,
    version: int | None = None,
    exclude: tuple[str, ...] = (),
    allow: tuple[str, ...] = (),
):
    """Train on the snapshots, of now or of a Delta version, and append how every candidate did."""
    from ml.errors import NotTrainable
    from ml.training import TrainOptions

    check_kind(settings, model or settings.model, is_own=False)
    snapshots = feature_table(spark, settings, SNAPSHOTS, version=version)
    if version is None:
        check_one_build(spark, settings)
    spec = replace(snapshots.spec, exclude=(*snapshots.spec.exclude, *exclude), allow=allow)
    snapshots = replace(snapshots, spec=spec)
    features = feature_table(spark, settings, FEATURES)
    # A trial under another name says nothing of the model in use.
    is_trial = model not in (None, settings.model)
    if version is not None and not is_trial:
        keep_champion(settings, snapshots, features)
    options = options or TrainOptions(offer=settings.offer)
    # What is scored now says nothing of a table of the past, and nobody may be active.
    is_compared = version is None and (options.stable_only or not features.rows.isEmpty())

    def keep(result, registered) -> None:
        performance = result.metrics.assign(
            run_id=registered.run_id,
            trained_at=now(),
            model_name=registered.name,
            model_version=registered.version,
            feature_table=spec.name,
            feature_table_version=spec.version,
        )
        append(
            spark,
            settings,
            spark.createDataFrame(performance),
            settings.ml_table("model_performance"),
        )
        append_learned(spark, settings, result, run_id=registered.run_id)
        if version is None:
            say("Judging the usual public way too")
            keep_public(spark, settings, run_id=registered.run_id)

    with stage("Tuning, stacking and backtesting the models") as say:
        try:
            trained = fit_and_register(
                settings,
                snapshots,
                options=options,
                model=model or settings.model,
                say=say,
                scoring=features.rows if is_compared else None,
                keep=keep,
            )
        except NotTrainable as reason:
            # What options of a call led to says nothing of a training without them.
            usual = TrainOptions(offer=settings.offer, seed=options.seed, models=options.models)
            if version is None and not is_trial and options == usual and not exclude:
                ledger.record(spark, settings, [trainable_check(str(reason))], tool="ml")
            raise
        if not is_trial:
            checks = [skill_check(trained[0]), *[trainable_check()] * (version is None)]
            ledger.record(spark, settings, checks, tool="ml")
    return trained


def fit_and_register(
    settings: Settings,
    learned: Dataset,
    *,
    options,
    model: str,
    say: Say,
    scoring: DataFrame | None = None,
    keep=None,
):
    """Backtest, fit and register; return the result and the registered version.

    `scoring`, the rows to be scored, are held against those to learn from. `keep` gets the two
    before the version may come into use, so that what it writes is there whenever that is.

    Raises:
        BadInput: on a server or in a shared metastore another run is under way, or users were
            erased meanwhile.
    """
    from ml.training import train

    spark = learned.rows.sparkSession
    # What keeps others away is told before the training, and after it waited for.
    with run_held(settings):
        erased = erased_count(spark, settings)
    result = train(learned.rows, learned.spec, options=options, progress=say, scoring=scoring)
    say(
        "Registering the model"
        + (", once no other run is under way" if is_shared(settings) else "")
    )
    with run_held(settings, patience_s=PATIENCE_S):
        # Who was erased beside it would come back with what is written now.
        if erased_count(spark, settings) != erased:
            raise BadInput(
                "users were erased during the training, which knows them: train once more"
            )
        registered = registry(settings, model).log(
            result, learned.rows, learned.spec, options, keep=keep
        )
    return result, registered


def erased_count(spark: SparkSession, settings: Settings) -> int:
    """How many erased users are remembered; 0 where nobody else could erase one meanwhile."""
    name = settings.table(ERASED)
    return (
        spark.table(name).count() if is_shared(settings) and spark.catalog.tableExists(name) else 0
    )


def keep_champion(settings: Settings, snapshots: Dataset, features: Dataset) -> None:
    """Refuse an earlier version of the snapshots that means something else than the tables of now.

    A model of it would replace the champion without being compared, and score other users or none.

    Raises:
        WrongUse: it is such a version.
    """
    from ml.meaning import misfit

    spec = snapshots.spec
    if AS_OF_THEN in spec.definitions:
        raise WrongUse(
            f"version {spec.version} of {spec.name} was built by other definitions than the tables "
            "of now, and nobody knows any more by which. Train it apart with --name"
        )
    champion, _ = champion_of(settings, features)
    why = champion and misfit(
        champion.metadata, snapshots.rows, keys=spec.keys, definitions=spec.definitions
    )
    if why:
        raise WrongUse(
            f"version {spec.version} of {spec.name} is unlike the tables that "
            f"{champion.name} version {champion.version} scores, which a model of it would "
            f"replace. {why} Train it apart with --name"
        )


def append_learned(spark: SparkSession, settings: Settings, result, *, run_id: str) -> None:
    """Append every prediction of the backtest, what the stack was fitted on, and its weights."""
    from ml import results

    for name, rows in (
        ("backtest", results.backtest_table(result, run_id=run_id)),
        ("out_of_fold", results.out_of_fold_table(result, run_id=run_id)),
        ("stack_weights", results.weights_table(result, run_id=run_id)),
    ):
        append_pandas(spark, settings, rows, settings.ml_table(name))


def keep_public(spark: SparkSession, settings: Settings, *, run_id: str) -> None:
    """Judge the same users the usual public way, and keep it in the run, unless too few left."""
    from mlflow import MlflowClient

    from ml.errors import NotTrainable, TableMismatch
    from ml.leaky import public_protocol

    table = whole_history(spark, settings)
    # A row a user, which is read many times.
    rows = table.rows.coalesce(1).localCheckpoint()
    try:
        public = public_protocol(rows, table.spec)
    except (NotTrainable, TableMismatch):
        return
    MlflowClient(settings.tracking_uri).log_text(run_id, public.to_csv(index=False), PUBLIC)


def trainable_check(reason: str = "") -> dict:
    """For the ledger: that a model could be trained, or why not."""
    return ledger.verdict(ledger.TRAINABLE, SNAPSHOTS, failures=int(bool(reason)), detail=reason)


def skill_check(result) -> dict:
    """For the ledger: whether the model beats the base rate by more than chance; else it warns."""
    from ml.promotion import is_proven

    skill = result.skill
    return ledger.verdict(
        ledger.PROVEN,
        SNAPSHOTS,
        failures=int(not is_proven(skill)),
        rows=int(result.metrics["row_count"].iloc[0]),
        detail=f"log loss {skill.value:+.4f} [{skill.ci_low:+.4f}, {skill.ci_high:+.4f}]",
    )
