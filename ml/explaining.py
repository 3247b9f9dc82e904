"""Why a user's score is what it is: exact Shapley values over families of features."""

import re
from collections.abc import Mapping, Sequence
from math import factorial
from typing import Protocol

from pyspark.ml import PipelineModel
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from ml.preprocessing import Feature, quote
from ml.stacking import LOG_ODDS

MAX_FAMILIES = 8
OTHER = "other"

# Who a user is and how long the log has seen them: it moves the score, but nobody can act on it.
BACKGROUND = "background"
# The first pattern that fits names the family; what fits none goes to "other".
PATTERNS = (
    (
        BACKGROUND,
        r"(^|_)(gender|sex|age|birth\w*|state|city|country|region|location|zip|platform|device|"
        r"browser|os|user_agent)(_|$)|left_truncated|observed_day",
    ),
    ("trend", r"trend"),
    ("adverts and trouble", r"advert|error|help|settings|downgrade_page|logout"),
    ("subscription", r"paid|level|tenure|upgrade|downgrade|subscri|registr"),
    ("recency", r"days_since|gap|last_active"),
    ("likes and dislikes", r"thumbs|like"),
    ("friends and variety", r"friend|playlist|distinct|artist"),
    ("listening", r"song|listen|session|active|home|hour|weekend|night|page"),
)

COALITION, WEIGHTS, ALONE = "ml__coalition", "ml__weights", "ml__alone"


class Explainable(Protocol):
    """A deployed model with what explanations need: a `TrainingResult` or a `DeployedModel`."""

    pipeline: PipelineModel
    features: tuple[Feature, ...]
    typical: dict[str, object]
    families: dict[str, tuple[str, ...]]


def families(names: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Sort feature names into at most 8 families, each name into one.

    By `PATTERNS` if they know most of the names, otherwise by the first word of the name, the
    largest families first and the remainder as "other". What is background is so in both cases.
    """
    known = {name: _pattern(name) for name in names}
    if sum(family is not None for family in known.values()) < len(names) / 2:
        known = {
            name: family if family == BACKGROUND else re.split(r"[_\W]", name.lower())[0] or OTHER
            for name, family in known.items()
        }
    members: dict[str, list[str]] = {}
    for name, family in known.items():
        members.setdefault(family or OTHER, []).append(name)
    while len(members) > MAX_FAMILIES:
        others = members.pop(OTHER, [])
        # Background must not end up among reasons.
        mergeable = [family for family in members if family != BACKGROUND]
        smallest = min(mergeable, key=lambda family: len(members[family]))
        members[OTHER] = others + members.pop(smallest)
    return {family: tuple(columns) for family, columns in members.items()}


def contributions(
    rows: DataFrame, model: Explainable, *, keys: Sequence[str], partitions: int = 1
) -> DataFrame:
    """The exact Shapley value of each family for each row, on the log-odds.

    The value of a coalition is the log-odds of a user who has the row's values in the coalition's
    families and the typical user's in all others. Returns the keys (which must be unique),
    base (log-odds of the typical user), log_odds (of the row), contributions (family -> value;
    log_odds = base + their sum) and alone (feature -> change of log-odds if only this feature is
    the row's). Scores (2^families + features) rows for each row.
    Source: Shapley (1953); Lundberg & Lee (2017), with one reference.
    """
    keys = list(map(quote, keys))
    coalitions = _coalitions(rows, model)
    first_alone = 2 ** len(model.families)
    mixed = rows.repartition(partitions).crossJoin(F.broadcast(coalitions))
    mixed = mixed.select(
        *keys, COALITION, WEIGHTS, ALONE, *_mixed_features(model, first_alone=first_alone)
    )
    scored = model.pipeline.transform(mixed)
    value, coalition = F.col(LOG_ODDS), F.col(COALITION)
    sums = [F.sum(value * F.get(WEIGHTS, F.lit(k))) for k in range(len(model.families))]
    alone = F.when(F.col(ALONE).isNotNull(), F.struct(ALONE, value))
    summed = scored.groupBy(*keys).agg(
        F.max(F.when(coalition == 0, value)).alias("base"),
        F.max(F.when(coalition == first_alone - 1, value)).alias("log_odds"),
        _map(dict(zip(model.families, sums, strict=True))).alias("contributions"),
        F.map_from_entries(F.collect_list(alone)).alias("alone"),
    )
    change = F.transform_values("alone", lambda _, value: value - F.col("base"))
    return summed.withColumn("alone", change)


def reasons(
    explained: DataFrame, rows: DataFrame, model: Explainable, *, keys: Sequence[str]
) -> DataFrame:
    """`explained` with reason_1 to reason_3: the families that raise the risk most, as text.

    Each names the feature of the family that raises the log-odds most by itself, with the user's
    value and the typical one. Null where fewer families raise the risk. Background is no reason:
    a team cannot act on a user's gender or platform, though the score may rest on it, as
    `explain` shows.
    """
    texts = _map({feature.name: _text(feature, model) for feature in model.features})
    features = rows.select(*map(quote, keys), texts.alias("ml__texts"))
    candidates = []
    for family, members in model.families.items():
        if not is_actionable(members):
            continue
        ranked = [
            F.struct(F.element_at("alone", name), F.lit(name).alias("name")) for name in members
        ]
        strongest = F.sort_array(F.array(*ranked), asc=False)[0]["name"]
        text = F.concat(F.lit(f"{family}: "), F.element_at("ml__texts", strongest))
        value = F.element_at("contributions", family)
        candidates.append(F.struct(value.alias("value"), text.alias("text")))
    if not candidates:
        none = [F.lit(None).cast("string").alias(f"reason_{i + 1}") for i in range(3)]
        return explained.select("*", *none)
    raising = F.filter(F.array(*candidates), lambda each: each["value"] > 1e-9)
    ranked = F.sort_array(raising, asc=False)
    joined = explained.join(features, on=list(keys))
    named = [F.get(ranked, F.lit(i))["text"].alias(f"reason_{i + 1}") for i in range(3)]
    return joined.select(*(quote(name) for name in explained.columns), *named)


def explain(rows: DataFrame, model: Explainable, *, id: str, time: str | None) -> DataFrame:
    """Why each row's score is what it is: one row per row of `rows` and family of features.

    Columns: id, [time], probability, typical_probability (of the typical user), family,
    contribution (exact Shapley value, log-odds: log-odds of probability = log-odds of
    typical_probability + the sum of a user's contributions), is_actionable, and details: a sentence
    for each feature, the user's value beside the typical one, what moves the score most by
    itself first. Background families are in it, too. The columns and keys of `rows` must fit
    the model: see `scoring.check_columns`.
    """
    keys = [id, time] if time else [id]
    explained = contributions(rows, model, keys=keys)
    texts = _map({feature.name: _text(feature, model) for feature in model.features})
    joined = explained.join(rows.select(*map(quote, keys), texts.alias("ml__texts")), on=keys)
    families = [
        F.struct(
            F.lit(family).alias("family"),
            F.element_at("contributions", family).alias("contribution"),
            F.lit(is_actionable(members)).alias("is_actionable"),
            _details(members).alias("details"),
        )
        for family, members in model.families.items()
    ]
    each = joined.withColumn("ml__family", F.explode(F.array(*families)))
    return each.select(
        *map(quote, keys),
        _probability("log_odds").alias("probability"),
        _probability("base").alias("typical_probability"),
        "ml__family.*",
    )


def is_actionable(members: Sequence[str]) -> bool:
    """Whether some column of a family is about what a user does or meets."""
    return any(_pattern(name) != BACKGROUND for name in members)


def _details(members: Sequence[str]) -> Column:
    """The members' sentences; what moves the log-odds most by itself comes first."""
    ranked = [
        F.struct(
            (-F.abs(F.element_at("alone", name))).alias("order"),
            F.lit(i).alias("place"),
            F.element_at("ml__texts", name).alias("text"),
        )
        for i, name in enumerate(members)
    ]
    return F.transform(F.sort_array(F.array(*ranked)), lambda each: each["text"])


def _probability(log_odds: str) -> Column:
    return 1 / (1 + F.exp(-F.col(log_odds)))


def _coalitions(rows: DataFrame, model: Explainable) -> DataFrame:
    """A row a coalition of families, with its Shapley weights, then a row a single feature."""
    count = len(model.families)
    table = [
        (coalition, [_weight(coalition, k, count) for k in range(count)], None)
        for coalition in range(2**count)
    ]
    table += [
        (2**count + j, [0.0] * count, feature.name) for j, feature in enumerate(model.features)
    ]
    schema = f"{COALITION} int, {WEIGHTS} array<double>, {ALONE} string"
    return rows.sparkSession.createDataFrame(table, schema)


def _weight(coalition: int, family: int, count: int) -> float:
    """What the coalition's value counts for in the family's Shapley value."""
    size, member = coalition.bit_count(), coalition >> family & 1
    others = size - member
    weight = factorial(others) * factorial(count - others - 1) / factorial(count)
    return weight if member else -weight


def _mixed_features(model: Explainable, *, first_alone: int) -> list[Column]:
    """Each feature: the row's value where the coalition has it, the typical one elsewhere."""
    family_of = {name: k for k, members in enumerate(model.families.values()) for name in members}
    coalition, mixed = F.col(COALITION), []
    for j, feature in enumerate(model.features):
        in_family = F.shiftright(COALITION, family_of[feature.name]).bitwiseAND(1) == 1
        own = (coalition < first_alone) & in_family | (coalition == first_alone + j)
        value = F.col(quote(feature.name))
        kind = "double" if feature.kind == "numeric" else feature.type
        typical = F.lit(model.typical[feature.name]).cast(kind)
        mixed.append(F.when(own, value.cast(kind)).otherwise(typical).alias(feature.name))
    return mixed


def _text(feature: Feature, model: Explainable) -> Column:
    """`song count per day 28d is 2.1, typically 14.3`."""
    words = re.sub(r"[_\s]+", " ", feature.name).strip()
    typical = model.typical[feature.name]
    if feature.kind == "numeric":
        number = F.round(F.col(quote(feature.name)).cast("double"), 2).cast("string")
        value = F.regexp_replace(number, r"\.0$", "")
        typical = f"{round(typical, 2)}".removesuffix(".0") if typical is not None else typical
    else:
        value = F.col(quote(feature.name)).cast("string")
        typical = str(typical).lower() if feature.kind == "boolean" else typical
    tail = f", typically {'unknown' if typical is None else typical}"
    return F.concat(F.lit(f"{words} is "), F.coalesce(value, F.lit("unknown")), F.lit(tail))


def _map(values: Mapping[str, Column]) -> Column:
    return F.create_map(*(part for key, value in values.items() for part in (F.lit(key), value)))


def _pattern(name: str) -> str | None:
    for family, pattern in PATTERNS:
        if re.search(pattern, name.lower()):
            return family
    return None
