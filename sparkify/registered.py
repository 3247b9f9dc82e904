"""The registered models of this home, and which of them scores."""

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from sparkify.datasets import SNAPSHOTS, Dataset, feature_table
from sparkify.settings import Settings

OWN_MODEL = "own-table"


def registry(settings: Settings, model: str):
    """The model registry of this home."""
    from ml.registry import Registry

    (settings.home / "mlflow").mkdir(parents=True, exist_ok=True)
    return Registry(settings.tracking_uri, str(settings.home / "mlflow" / "artifacts"), model)


def champion_of(settings: Settings, features: Dataset):
    """The model to score the feature table with and its name; or None, and why in a sentence.

    A champion that means something else, or reads columns that are not there, is not used.
    """
    return registry(settings, settings.model).champion_for(
        features.rows, keys=features.spec.keys, definitions=features.spec.definitions
    )


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
