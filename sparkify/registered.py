"""The registered models of this home, and which of them scores."""

import shlex
import sqlite3
from contextlib import closing, suppress

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from sparkify import ledger
from sparkify.datasets import FEATURES, SNAPSHOTS, Dataset, feature_table
from sparkify.errors import BadInput, WrongUse
from sparkify.settings import Settings

# Where a run of training keeps how the usual public way would judge.
PUBLIC = "public_protocol.csv"
OWN_MODEL = "own-table"


def registry(settings: Settings, model: str):
    """The model registry of this home."""
    from ml.registry import Registry

    settings.make_home()
    settings.model_store.parent.mkdir(exist_ok=True)
    return Registry(settings.tracking_uri, str(settings.home / "mlflow" / "artifacts"), model)


def require_model(settings: Settings, name: str) -> None:
    """Refuse a name that no model has; needs no Spark.

    Raises:
        BadInput: it says how to train one.
    """
    # To look is no reason to make a home.
    if not settings.model_store.exists() or not registry(settings, name).versions():
        raise BadInput(f"no model {name} has been trained yet; {how_to_train(settings, name)}")


def require_version(settings: Settings, name: str, version: int) -> None:
    """Refuse a version that the store does not list; MLflow would take seconds to import.

    Raises:
        WrongUse: names the versions that there are.
    """
    store, known = f"{settings.model_store.as_uri()}?mode=ro", set()
    listed = "select version from model_versions where name = ?"
    # What cannot be asked this way MLflow is asked.
    with suppress(sqlite3.Error), closing(sqlite3.connect(store, uri=True)) as opened:
        known = {int(row[0]) for row in opened.execute(listed, [name])}
    if known and version not in known:
        has = ", ".join(map(str, sorted(known)))
        raise WrongUse(f"{name} has no version {version}; it has {has}.")


def how_to_train(settings: Settings, name: str) -> str:
    """What makes a model of this name, or tells why not, whether there are tables yet or not."""
    if name == OWN_MODEL:
        return "run `sparkify train --parquet PATH --id COLUMN --label COLUMN`"
    if name == settings.model:
        return "`sparkify build --events PATH`, then `sparkify train` makes one, or says what lacks"
    return (
        f"run `sparkify build --events PATH`, then `sparkify train --name {shlex.quote(name)}`; "
        "or, of a table of your own, the latter with --table, --id and --label"
    )


def check_kind(settings: Settings, name: str, *, is_own: bool) -> None:
    """Refuse a name under which a model of the snapshots and one of an own table would meet.

    The newer would replace the older without being compared, and score none of its rows.

    Raises:
        WrongUse: the name is of the other kind.
    """
    taken = is_own and name == settings.model
    if not taken and settings.model_store.exists():
        models = registry(settings, name)
        versions = models.versions()
        taken = versions and is_own == bool(
            models.card(versions[0].version)[1]["spec"]["definitions"]
        )
    if taken:
        kind = "the snapshots" if is_own else "a table of your own"
        raise WrongUse(f"{name} is the name of a model of {kind}; give another one with --name")


def champion_of(settings: Settings, features: Dataset):
    """The model to score the feature table with and its name; or None, and why in a sentence.

    A champion that means something else, or reads columns that are not there, is not used.
    """
    from ml.registry import TRAIN_ONE

    found, said = registry(settings, settings.model).champion_for(
        features.rows, keys=features.spec.keys, definitions=features.spec.definitions
    )
    why = "" if found else ledger.refusal(features.rows.sparkSession, settings)
    if why:
        # What was tried is no remedy.
        said = said.removesuffix(TRAIN_ONE)
    return found, settings.addressed(f"{said} {why}".strip())


def why_of_another(spark: SparkSession, settings: Settings, version: int) -> str:
    """That another version is champion than the one that scored, in sentences; nothing if not."""
    found = registry(settings, settings.model).versions()
    in_use = next((each.version for each in found if each.alias == "champion"), version)
    if in_use == version:
        return ""
    fits, why = champion_of(settings, feature_table(spark, settings, FEATURES))
    then = f"`{settings.command} score` makes it anew." if fits else why
    return f"The list is by version {version}, and version {in_use} is the champion now. {then}"


def decision_of(version, reigns) -> str:
    """What was decided of a version when it was trained, and by hand since, as sentences.

    reigns: every change of champion, the oldest first.
    """
    by_hand = {"promoted": "promoted", "rolled back": "rolled back to"}
    chosen = (each for each in reversed(reigns) if each.how != "fits again")
    last = next((each for each in chosen if each.version == version.version), None)
    if last is None or last.how not in by_hand:
        return version.decision
    return f"{version.decision} It was {by_hand[last.how]} by hand on {last.at[:10]}."


def challenger_of(settings: Settings, features: Dataset):
    """The version that waits to be promoted, where there is one that fits the feature table."""
    return registry(settings, settings.model).challenger_for(
        features.rows, keys=features.spec.keys, definitions=features.spec.definitions
    )


def drift_reference(spark: SparkSession, settings: Settings, model):
    """What a deployed model learned from, as drift is measured against.

    Older cards do not have it: then it is the present snapshots.
    """
    from ml.drift import Reference, find_reference
    from ml.preprocessing import Columns

    kept = model.metadata.get("reference")
    if kept:
        return Reference(**kept)
    snapshots = feature_table(spark, settings, SNAPSHOTS)
    labelled = snapshots.rows.where(F.col(snapshots.spec.label).isNotNull())
    return find_reference(labelled, Columns(model.features), user=snapshots.spec.id)
