"""A probability and up to three reasons for each row of a table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pyspark.ml import PipelineModel
from pyspark.ml.feature import StringIndexerModel
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from ml import explaining, parsing, preprocessing, table_spec
from ml.errors import TableMismatch
from ml.explaining import Explainable
from ml.preprocessing import NONE, Columns, Feature, quote
from ml.stacking import PROBABILITY
from ml.wording import Wording

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
    wording: Mapping[str, Wording] = field(default_factory=dict)
    average_risk: float | None = None
    metadata: dict[str, object] = field(default_factory=dict)


def score(rows: DataFrame, model: Explainable, *, id: str, time: str | None) -> DataFrame:
    """One row per row of `rows`: id, [time], probability, reason_1, reason_2, reason_3.

    `model` is a DeployedModel or a TrainingResult. A reason is as in `explaining.reasons`.

    Raises:
        TableMismatch: a column is missing or cannot be read as what the model reads, or a key is
            missing or repeats.
    """
    keys = [id, time] if time else [id]
    table_spec.check_keys(keys)
    check_columns(rows, model, keys=keys)
    table_spec.check_apart(keys, model.features)
    found = rows.agg(*table_spec.key_counts(rows, keys)).first().asDict()
    table_spec.refuse_keys(rows, keys, found)
    rows = preprocessing.read_written(rows, model.features)
    work = found["all_rows"] * (2 ** len(model.families) + len(model.features))
    explained = explaining.contributions(
        rows, model, keys=keys, partitions=1 + work // ROWS_PER_TASK
    )
    scored = explaining.reasons(explained, rows, model, keys=keys)
    probability = 1 / (1 + F.exp(-F.col("log_odds")))
    return scored.select(
        *map(quote, keys), probability.alias("probability"), "reason_1", "reason_2", "reason_3"
    )


def probabilities(rows: DataFrame, model: DeployedModel, *, keys: Sequence[str]) -> DataFrame:
    """`keys` and probability of every row of `rows`, without reasons: much cheaper than `score`."""
    read = preprocessing.read_written(rows, model.features)
    # Whatever else a table has may be called like what the pipeline adds.
    read = read.select(*map(quote, dict.fromkeys([*keys, *(each.name for each in model.features)])))
    probability = F.col(PROBABILITY).alias("probability")
    return model.pipeline.transform(read).select(*map(quote, keys), probability)


def find_unseen(rows: DataFrame, model: DeployedModel) -> tuple[str, ...]:
    """A sentence for each category of which `rows` have values that the model never saw.

    No value is one of them where all rows learned from had one. One Spark job, and none without a
    category.
    """
    known = _known_categories(model)
    if not known:
        return ()
    aggregates = []
    for i, (name, values) in enumerate(known.items()):
        value = F.coalesce(F.expr(f"nullif({parsing.text(quote(name))}, '')"), F.lit(NONE))
        unseen = ~value.isin(sorted(values))
        aggregates += [
            F.count_if(unseen).alias(f"count_{i}"),
            # A blank is named where nothing else is to name.
            F.coalesce(F.min(F.when(unseen & (value != NONE), value)), F.lit(NONE)).alias(
                f"value_{i}"
            ),
        ]
    found = rows.agg(F.count(F.lit(1)).alias("rows"), *aggregates).first()
    return tuple(
        f"`{name}`: {count:,} of {found['rows']:,} rows {'holds' if count == 1 else 'hold'} a "
        f"value that the model never saw, such as `{found[f'value_{i}']}`; it counts as none "
        "of those that the model knows, which may be more or less of a risk than it is."
        for i, name in enumerate(known)
        if (count := found[f"count_{i}"])
    )


def _known_categories(model: DeployedModel) -> dict[str, set[str]]:
    """By feature, the categories that the pipeline has an index for."""
    names = preprocessing.safe_names(Columns(model.features))
    known = {}
    stages = list(model.pipeline.stages)
    for stage in stages:
        if isinstance(stage, PipelineModel):
            stages += stage.stages
        elif isinstance(stage, StringIndexerModel):
            known |= dict(zip(stage.getInputCols(), map(set, stage.labelsArray), strict=True))
    return {
        feature.name: known[name]
        for feature, name in zip(model.features, names, strict=True)
        if name in known
    }


def check_columns(
    rows: DataFrame,
    model: Explainable | Columns,
    *,
    keys: list[str],
    called: str = "The table",
    is_any_enough: bool = False,
) -> None:
    """Raise TableMismatch if `rows` lacks a key or a column, or holds what the model cannot read.

    Any number will do for a number, and so will text that holds numbers; a column without values
    is missing values of any type. is_any_enough: a column fits of which any value can be read. One
    Spark job, only where some type is not the expected one.
    """
    types = dict(rows.dtypes)
    wrong = [f"`{key}` is missing{_like(key, types)}" for key in keys if key not in types]
    present = [feature for feature in model.features if feature.name in types]
    unreadable = preprocessing.find_unreadable(rows, present, is_any_enough=is_any_enough)
    aggregates = [value.alias(f"c{i}") for i, value in enumerate(unreadable.values())]
    row = rows.agg(*aggregates).first() if aggregates else ()
    values = dict(zip(unreadable, row, strict=True))
    for feature in model.features:
        name, value = feature.name, values.get(feature.name)
        if name not in types:
            wrong.append(f"`{name}` is missing, expected {_kind(feature)}{_like(name, types)}")
        elif value is not None:
            wrong.append(
                f"`{name}` is {types[name]}, expected {_kind(feature)}, and holds `{value}`"
            )
    if wrong:
        raise TableMismatch(f"{called} does not fit the model: {'; '.join(wrong)}.")


def _kind(feature: Feature) -> str:
    """What a feature is called: its type, or what it holds as text."""
    if feature.type != "string" or feature.kind == "category":
        return feature.type
    return "a number" if feature.kind == "numeric" else "true or false"


def _like(name: str, names: dict[str, str]) -> str:
    like = table_spec.nearest(name, names)
    return f" (did you mean `{like}`?)" if like else ""
