"""A probability and three reasons for each row of a table."""

from dataclasses import dataclass, field

from pyspark.ml import PipelineModel
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from ml import explaining
from ml.errors import TableMismatch
from ml.explaining import Explainable
from ml.preprocessing import Feature, find_columns, quote

# A task of this many rows to score takes some seconds.
ROWS_PER_TASK = 50_000


@dataclass(frozen=True, kw_only=True)
class DeployedModel:
    """A model from the registry: the pipeline, what it reads, and what it is called.

    metadata: what the registry knows of it, as `Registry.log` wrote it.
    """

    pipeline: PipelineModel
    features: tuple[Feature, ...]
    typical: dict[str, object]
    families: dict[str, tuple[str, ...]]
    name: str
    version: int
    metadata: dict[str, object] = field(default_factory=dict)


def score(rows: DataFrame, model: Explainable, *, id: str, time: str | None) -> DataFrame:
    """One row per row of `rows`: id, [time], probability, reason_1, reason_2, reason_3.

    `model` is a DeployedModel or a TrainingResult. A reason is text, or null where fewer than
    three families of features raise the risk above the typical user's.

    Raises:
        TableMismatch: a column is missing or of another type, or the key repeats.
    """
    keys = [id, time] if time else [id]
    check_columns(rows, model, keys=keys)
    key = F.struct(*map(quote, keys))
    found = rows.agg(F.count(F.lit(1)).alias("rows"), F.count_distinct(key).alias("keys")).first()
    if found["keys"] < found["rows"]:
        names = " and ".join(f"`{name}`" for name in keys)
        raise TableMismatch(
            f"{found['rows'] - found['keys']} rows repeat the {names} of another; "
            "there must be one row for each."
        )
    work = found["rows"] * (2 ** len(model.families) + len(model.features))
    explained = explaining.contributions(
        rows, model, keys=keys, partitions=1 + work // ROWS_PER_TASK
    )
    scored = explaining.reasons(explained, rows, model, keys=keys)
    probability = 1 / (1 + F.exp(-F.col("log_odds")))
    return scored.select(
        *map(quote, keys), probability.alias("probability"), "reason_1", "reason_2", "reason_3"
    )


def check_columns(rows: DataFrame, model: Explainable, *, keys: list[str]) -> None:
    """Raise TableMismatch if `rows` lacks a key or a column that `model` reads.

    Any number will do for a number: the pipeline casts it.
    """
    types = {each.name: each.dataType.simpleString() for each in rows.schema.fields}
    kinds = {each.name: each.kind for each in find_columns(rows, ignore=()).features}
    wrong = [f"`{key}` is missing" for key in keys if key not in types]
    for feature in model.features:
        if feature.name not in types:
            wrong.append(f"`{feature.name}` is missing, expected {feature.type}")
        elif kinds.get(feature.name) != feature.kind:
            wrong.append(f"`{feature.name}` is {types[feature.name]}, expected {feature.type}")
    if wrong:
        raise TableMismatch(f"The table does not fit the model: {'; '.join(wrong)}.")
