"""What `sparkify score` does, for the active users or for a table of the user's own."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
from pyspark.sql import Column, SparkSession
from pyspark.sql import functions as F

from sparkify import ledger, own_table
from sparkify.datasets import FEATURES, Dataset, feature_table, read_own_table
from sparkify.errors import WrongUse
from sparkify.formatting import plural
from sparkify.lock import run_held
from sparkify.registered import (
    OWN_MODEL,
    challenger_of,
    champion_of,
    drift_reference,
    registry,
    require_model,
)
from sparkify.scores import NOBODY, fingerprint
from sparkify.settings import Settings
from sparkify.sources import append, now
from sparkify.spreadsheet import check_writable, write_csv
from sparkify.stages import open_stage, retention_stage
from sparkify.summary import UNPROVEN, show_most_at_risk
from sparkify.terminal import line, stage


def score_command(
    settings: Settings,
    *,
    table: str | None,
    id_column: str | None,
    time: str | None,
    out: Path | None,
    name: str | None,
) -> None:
    """`sparkify score`: the active users into the marts, or an own table into a CSV file."""
    if table is None:
        if id_column or time or out or name:
            raise WrongUse(
                "--id, --time, --out and --name go with a table of your own: add --table"
            )
        require_model(settings, settings.model)
        spark = open_stage(settings)
        left_out = score_stage(spark, settings)
        retention_stage(spark, settings)
        if left_out:
            from ml.errors import NotTrainable

            raise NotTrainable(left_out)
        show_most_at_risk(spark, settings)
        return
    if not (id_column and out):
        raise WrongUse("--table needs --id, the column of the user, and --out, the CSV to write")
    source = own_table.find_source(table)
    own_table.check_columns(source, id=id_column, time=time)
    check_writable(out)
    if out.resolve().is_relative_to(Path(table).resolve()):
        raise WrongUse(f"--out {out} would overwrite what is scored: name another file")
    name = name or OWN_MODEL
    require_model(settings, name)
    spark = open_stage(settings)
    own = read_own_table(spark, settings, source, id=id_column, time=time)
    with own_table.readable(table), stage("Scoring the table"):
        rows, notes = scores_of(settings, own, model=name)
        notes += write_csv(rows, out)
    line(f"{plural(len(rows), 'score')} in {out}", wrap=False)
    for note in notes:
        line(note)


def scores_of(
    settings: Settings, own: Dataset, *, model: str
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The scores of a table of the user's own by the champion of `model`, and notes.

    With a time the last date comes first, and on a date the highest score.

    Raises:
        NotTrainable: there is no champion.
        TableMismatch: a column that the model needs is missing or has another type.
    """
    from ml.drift import Reference, find_shifted
    from ml.errors import NotTrainable
    from ml.evaluation import Gain
    from ml.exposure import find_too_short
    from ml.preprocessing import Columns, read_written
    from ml.promotion import is_proven
    from ml.scoring import find_unseen, score
    from ml.versions import columns_read

    champion, reason = registry(settings, model).champion()
    if champion is None:
        raise NotTrainable(reason)
    scores = score(own.rows, champion, id=own.spec.id, time=own.spec.time).toPandas()
    # Equal ones by id: Spark gives its rows back in no order.
    order = [own.spec.time] if own.spec.time else []
    scores = scores.sort_values(
        [*order, "probability", own.spec.id], ascending=[*[False] * len(order), False, True]
    )
    notes = find_unseen(own.rows, champion)
    learned_from = champion.metadata["spec"]
    notes += find_too_short(
        own.rows,
        replace(
            own.spec,
            exposure=learned_from.get("exposure"),
            min_exposure=learned_from.get("min_exposure"),
        ),
    )
    # Older cards do not have it.
    if reference := champion.metadata.get("reference"):
        read = set(columns_read(champion.metadata))
        features = tuple(each for each in champion.features if each.name in read)
        rows = read_written(own.rows, features)
        notes += find_shifted(Reference(**reference), rows, Columns(features), user=own.spec.id)
    if not is_proven(Gain(**champion.metadata["skill"])):
        notes += (UNPROVEN,)
    return scores, notes


def score_stage(spark: SparkSession, settings: Settings) -> str | None:
    """Append a score of every active user; return why not, where no champion fits the table.

    A challenger that fits is scored in shadow: who is contacted does not depend on it.
    """
    from ml.scoring import probabilities, score

    features = feature_table(spark, settings, FEATURES)
    champion, reason = champion_of(settings, features)
    if champion and features.rows.isEmpty():
        return NOBODY
    challenger = challenger_of(settings, features)
    table = settings.ml_table("churn_scores")
    scored = {"features_hash": F.lit(fingerprint(features)).cast("bigint")}
    if champion:
        with run_held(settings), stage("Scoring the active users"):
            stamp = stamp_of(champion, features)
            scores = score(features.rows, champion, id=features.spec.id, time=features.spec.time)
            scores = scores.withColumns(stamp | scored | meaning_of(champion, is_shadow=False))
            append(spark, settings, scores, table)
            drift_stage(spark, settings, champion, features, stamp)
    if challenger:
        with run_held(settings), stage("Scoring them by the challenger too, in shadow"):
            scores = probabilities(features.rows, challenger, keys=features.spec.keys)
            stamp = stamp_of(challenger, features) | scored
            stamp |= meaning_of(challenger, is_shadow=True)
            reasons = {f"reason_{i}": F.lit(None) for i in (1, 2, 3)}
            append(spark, settings, scores.withColumns(stamp | reasons), table)
    return None if champion else reason


def stamp_of(model, features: Dataset) -> dict[str, Column]:
    """Which model scored which table, and when, as columns of what is written."""
    return {
        "model_name": F.lit(model.name),
        "model_version": F.lit(model.version),
        "feature_table_version": F.lit(features.spec.version),
        "scored_at": F.lit(now()),
    }


def meaning_of(model, *, is_shadow: bool) -> dict[str, Column]:
    """What a score means, as columns of churn_scores; null what the model does not know."""
    from ml.evaluation import Gain
    from ml.meaning import meaning
    from ml.promotion import is_proven

    known = meaning(model.metadata["spec"])
    names = ("horizon_days", "churn_definition", "active_days", "feature_windows")
    columns = {name: F.lit(known.get(name)) for name in (*names, "snapshot_weekday")}
    return columns | {
        "feature_names": F.array(*(F.lit(feature.name) for feature in model.features)),
        "is_proven": F.lit(is_proven(Gain(**model.metadata["skill"]))),
        "is_shadow": F.lit(is_shadow),
    }


def drift_stage(
    spark: SparkSession, settings: Settings, champion, features: Dataset, stamp
) -> None:
    """Append how each feature of the users scored differs from what the champion learned from."""
    from ml.drift import find_drift
    from ml.preprocessing import Columns
    from ml.versions import columns_read

    read = set(columns_read(champion.metadata))
    found = find_drift(
        drift_reference(spark, settings, champion),
        features.rows,
        Columns(tuple(each for each in champion.features if each.name in read)),
        user=features.spec.id,
    )
    as_of = features.rows.agg(F.max(features.spec.time)).first()[0]
    rows = spark.createDataFrame(found.rename(columns={"column": "feature"}))
    # What an older card does not tell is a NaN in pandas.
    psi_past = F.nanvl("psi_past", F.lit(None).cast("double"))
    rows = rows.withColumns(stamp | {"as_of_date": F.lit(as_of), "psi_past": psi_past})
    append(spark, settings, rows, settings.ml_table("feature_drift"))
    drifted = found.loc[found["is_drifted"], "column"]
    check = ledger.verdict(
        "the users scored are like those learned from",
        FEATURES,
        failures=len(drifted),
        rows=features.rows.count(),
        detail=f"features that drift: {', '.join(drifted)}" if len(drifted) else "",
    )
    ledger.record(spark, settings, [check], tool="ml")
