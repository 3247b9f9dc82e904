"""Why a user's score is what it is: exact Shapley values over families of features."""

import re
from collections.abc import Mapping, Sequence
from math import factorial
from typing import Protocol

from pyspark.ml import PipelineModel
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from ml.preprocessing import Feature, quote, read_written
from ml.stacking import LOG_ODDS
from ml.wording import TOLD, Wording, told, words

MAX_FAMILIES = 8
OTHER = "other"

# Who a user is and how long the log has seen them: it moves the score, but nobody can act on it.
BACKGROUND = "background"
# For tables that declare no families. The first pattern that fits names the family; what fits none
# goes to "other".
PATTERNS = (
    (
        BACKGROUND,
        # Of a person in any part of a name; other words as the whole of it or its end, for a
        # payment_state is something to act on, and so is an account_age.
        r"(^|_)(gender|sex|birth\w*)(_|$)|^((?!account|tenure|subscription|contract|device)\w+_)?age"
        r"(_(years?|band|group|range|class|bucket))?$|"
        r"^((user|customer|client|member|home|billing|signup|device)_)?(state|city|country|region|"
        r"location|zip|platform|device|browser|os|user_agent)"
        r"(_(code|name|type|group|id|version|of_\w+|[a-z]{2}))?$|left_truncated|observed_day",
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
MOVES, FAMILIES, REASONS = "ml__moves", "ml__families", "ml__reasons"

# Log-odds: a family that raises the odds by less than one in a hundred is no reason.
LEAST = 0.01
# A risk above the average by less than this share of it is no higher.
ABOVE = 0.001
NO_MORE = "no more at risk than most"
NO_SINGLE = "more at risk than most, for no single reason"
# With the name of what it is, in parentheses.
NO_ACTION = "more at risk than most, by what nobody can act on"


class Explainable(Protocol):
    """A deployed model with what explanations need: a `TrainingResult` or a `DeployedModel`.

    average_risk: the share of churners among the rows learned from; of a model that does not know
    it None, which stands for the probability of the typical user.
    """

    pipeline: PipelineModel
    features: tuple[Feature, ...]
    typical: dict[str, object]
    families: dict[str, tuple[str, ...]]
    wording: Mapping[str, Wording]
    average_risk: float | None


def families(
    names: Sequence[str], wording: Mapping[str, Wording] | None = None
) -> dict[str, tuple[str, ...]]:
    """Sort feature names into at most 8 families, each name into one.

    A name with a wording belongs to the family that this declares. The others are sorted by
    `PATTERNS` if with them the families of most names are known, otherwise by the first word of the
    name, the largest families first and the remainder as "other". What is background is so in any
    case.
    """
    declared = {name: each.family for name, each in (wording or {}).items()}
    known = {name: declared.get(name) or _pattern(name) for name in names}
    if sum(family is not None for family in known.values()) < len(names) / 2:
        known = {
            name: declared.get(name) or (BACKGROUND if family == BACKGROUND else _first_word(name))
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
    """`explained` with reason_1 to reason_3: why a user is more at risk than the average one.

    A reason is what a family says of the user that raises the odds by at least 1 %: the sentence of
    that one of its features that moves the log-odds most by itself. It is left out where that
    feature lowers them, or is no reason as `wording.told` sees it. Background is no reason: a team
    cannot act on a user's gender or platform, though the score may rest on it, as `explain` shows.
    The family that raises the risk most comes first; null where there are fewer. Without any,
    reason_1 says whether the risk is above the average, and names what of the background would be
    the reason.
    """
    found = _with_families(explained, rows, model, keys=keys)
    named = [F.get(REASONS, F.lit(i)).alias(f"reason_{i + 1}") for i in range(3)]
    return found.select(*map(quote, explained.columns), *named)


def explain(rows: DataFrame, model: Explainable, *, id: str, time: str | None) -> DataFrame:
    """Why each row's score is what it is: one row per row of `rows` and family of features.

    Columns: id, [time], probability, typical_probability (of the typical user), reasons (those of
    `reasons`, in order), family, contribution (exact Shapley value, log-odds: log-odds of
    probability = log-odds of typical_probability + the sum of a user's contributions),
    is_actionable, and details: a sentence for each feature that moves the score by itself, the
    user's value beside the typical one, what moves it most first. Background families are in it,
    too. The columns and keys of `rows` must fit the model: see `scoring.check_columns`.
    """
    keys = [id, time] if time else [id]
    rows = read_written(rows, model.features)
    found = _with_families(contributions(rows, model, keys=keys), rows, model, keys=keys)
    each = found.withColumn("ml__family", F.explode(FAMILIES))
    return each.select(
        *map(quote, keys),
        _probability("log_odds").alias("probability"),
        _probability("base").alias("typical_probability"),
        F.col(REASONS).alias("reasons"),
        *(f"ml__family.{name}" for name in ("family", "contribution", "is_actionable", "details")),
    )


def _with_families(
    explained: DataFrame, rows: DataFrame, model: Explainable, *, keys: Sequence[str]
) -> DataFrame:
    """`explained` with what each family says, the highest contribution first, and the reasons."""
    sentences = told(rows, model.features, model.typical, model.wording, keys=keys)
    joined = explained.join(sentences, on=list(keys))
    alone = F.array(*(F.element_at("alone", feature.name) for feature in model.features))
    # Sorted, what moves the log-odds most comes first.
    moves = F.zip_with(
        alone,
        TOLD,
        lambda alone, told: F.struct(
            (-F.abs(alone)).alias("order"),
            told["place"].alias("place"),
            alone.alias("alone"),
            told["text"].alias("text"),
            told["is_telling"].alias("is_telling"),
        ),
    )
    average = _probability("base") if model.average_risk is None else F.lit(model.average_risk)
    # Of a model that tells nobody apart all are as likely to leave as most, but for rounding.
    at_risk = _probability("log_odds") > average * (1 + ABOVE)
    place = {feature.name: i for i, feature in enumerate(model.features)}
    names = F.array(*(F.lit(words(feature.name)) for feature in model.features))
    said = [
        _family(name, [place[each] for each in members], at_risk, names)
        for name, members in model.families.items()
    ]
    found = joined.withColumn(MOVES, moves)
    found = found.withColumn(FAMILIES, F.sort_array(F.array(*said)))
    reasons = F.transform(FAMILIES, lambda each: each["reason"])
    reasons = F.filter(reasons, lambda reason: reason.isNotNull())
    withheld = F.array_compact(F.transform(FAMILIES, lambda each: each["withheld"]))
    withheld = F.concat(F.lit(f"{NO_ACTION} ("), F.get(withheld, F.lit(0)), F.lit(")"))
    no_reason = F.coalesce(withheld, F.lit(NO_SINGLE))
    otherwise = F.array(F.when(at_risk, no_reason).otherwise(NO_MORE))
    shown = F.when(F.size(reasons) > 0, F.slice(reasons, 1, 3)).otherwise(otherwise)
    return found.withColumn(REASONS, shown)


def _family(family: str, places: Sequence[int], at_risk: Column, names: Column) -> Column:
    """What a family says of a user: its part in the score, its sentences, and the reason if any.

    Of background the reason is withheld but for the name of its feature. places: of its features
    among those of the model; names: of all of these.
    """
    ranked = F.sort_array(F.array(*(F.get(MOVES, F.lit(i)) for i in places)))
    moving = F.filter(ranked, lambda each: each["alone"] != 0)
    contribution, first = F.element_at("contributions", family), ranked[0]
    raises = (contribution >= LEAST) & (first["alone"] > 0) & first["is_telling"]
    reason, name = first["text"], F.get(names, first["place"])
    is_background, nothing = family == BACKGROUND, F.lit(None).cast("string")
    return F.struct(
        # Sums in another order differ in the last digits, which must not decide between equals.
        (-F.round(contribution, 9)).alias("order"),
        F.lit(family).alias("family"),
        contribution.alias("contribution"),
        F.lit(not is_background).alias("is_actionable"),
        F.transform(moving, lambda each: each["text"]).alias("details"),
        (nothing if is_background else F.when(at_risk & raises, reason)).alias("reason"),
        (F.when(at_risk & raises, name) if is_background else nothing).alias("withheld"),
    )


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


def _map(values: Mapping[str, Column]) -> Column:
    return F.create_map(*(part for key, value in values.items() for part in (F.lit(key), value)))


def _pattern(name: str) -> str | None:
    for family, pattern in PATTERNS:
        if re.search(pattern, name.lower()):
            return family
    return None


def _first_word(name: str) -> str:
    """What comes before the first underscore, and is not taken for the background."""
    word = re.split(r"[_\W]", name.lower())[0]
    return OTHER if word in ("", BACKGROUND) else word
