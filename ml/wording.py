"""What is said of a feature: the user's value beside the typical one, as a sentence."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import expm1

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from scipy.special import expit

from ml import parsing
from ml.preprocessing import Feature, clean, quote

TOLD, VALUES, FACTS = "ml__told", "ml__values", "ml__facts"
# What is known of each feature: the typical value, and its sentence in pieces.
PARTS = (
    "place: int, usual: double, usual_text: string, scale: double, side: int, "
    "has_unknown: boolean, head: string, middle_one: string, middle: string, tail_one: string, "
    "tail: string, unknown_head: string, unknown_tail_one: string, unknown_tail: string"
)
UNKNOWN = "unknown"
# What a value is multiplied by before it is printed.
SCALES = {
    "": 1.0,
    "percent": 100.0,
    "per 100": 100.0,
    "hours": 1 / 3600,
    "log": 1.0,
    "percent of log-odds": 100.0,
}
# What a value is kept as, undone before that: for columns and for one number.
UNDONE = {
    "log": (lambda value: F.round(F.expm1(value), 6), lambda value: round(expm1(value), 6)),
    "percent of log-odds": (lambda value: 1 / (1 + F.exp(-value)), expit),
}
# From here on digits are grouped by commas; a year is not.
GROUPED = 10_000
# Below 10 two digits are shown, as far as so many decimals reach.
DECIMALS = 7


@dataclass(frozen=True, kw_only=True)
class Wording:
    """How a feature is told.

    family: what it is explained with. reason: a sentence with {value} and, after it, {typical};
    `(s)` behind either is `s` unless it is 1. reason_if_null: the sentence where the user has no
    value, with {typical} at most. shown_as: "percent", "per 100", "hours" of seconds, the number of
    which the value is the "log" (of 1 more), or "percent of log-odds".
    reason_when: "more" or "less", if only more or less than the typical value can be why a user is
    at risk. words: what to print of true and false, or of a category.

    Raises:
        ValueError: a sentence lacks a place or has another, or a choice is none of these.
    """

    family: str
    reason: str
    reason_if_null: str = ""
    shown_as: str = ""
    reason_when: str = ""
    words: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if re.findall(r"{(.*?)}", self.reason) != ["value", "typical"]:
            raise ValueError(f"`{self.reason}` must have {{value}}, then {{typical}}, and no other")
        if set(re.findall(r"{(.*?)}", self.reason_if_null)) - {"typical"}:
            raise ValueError(f"`{self.reason_if_null}` may have {{typical}}, and no other")
        if self.shown_as not in SCALES:
            raise ValueError(f"shown_as is `{self.shown_as}`, and none of {', '.join(SCALES)}")
        if self.reason_when not in ("", "more", "less"):
            raise ValueError(f"reason_when is `{self.reason_when}`: it may be more or less")


def told(
    rows: DataFrame,
    features: Sequence[Feature],
    typical: Mapping[str, object],
    wording: Mapping[str, Wording],
    *,
    keys: Sequence[str],
) -> DataFrame:
    """What each row's values say: the keys, and ml__told, an array with a struct a feature.

    text: a sentence; without a wording the column's name and the two values. is_telling: whether it
    can be a reason: it is printed otherwise than the typical value and, with `reason_when`, lies on
    that side of it.
    """
    values = [_value(each, wording.get(each.name)) for each in features]
    rows = rows.select(*map(quote, keys), F.array(*values).alias(VALUES))
    # A row of its own: the sentence is one expression, not one for each feature.
    parts = [
        (i, *_parts(each, typical[each.name], wording.get(each.name)))
        for i, each in enumerate(features)
    ]
    facts = rows.sparkSession.createDataFrame([(parts,)], f"{FACTS} array<struct<{PARTS}>>")
    facts = facts.select(
        F.transform(FACTS, lambda each: each.withField("usual_shown", _shown(each, "usual"))).alias(
            FACTS
        )
    )
    joined = rows.crossJoin(F.broadcast(facts))
    sentences = F.zip_with(VALUES, FACTS, _sentence)
    return joined.select(*map(quote, keys), sentences.alias(TOLD))


def words(name: str) -> str:
    """A column's name as it stands in a sentence."""
    return re.sub(r"[_\s]+", " ", name).strip() or name


def _value(feature: Feature, wording: Wording | None) -> Column:
    """The row's value as number or as text; null where it is missing, infinite or blank."""
    if feature.kind == "numeric":
        number, text = F.expr(clean(feature)), F.lit(None).cast("string")
        if wording and wording.shown_as in UNDONE:
            number = UNDONE[wording.shown_as][0](number)
    else:
        number, text = F.lit(None).cast("double"), F.col(quote(feature.name)).cast("string")
        text = F.when(F.expr(parsing.text(quote(feature.name))) != "", text)
        for each, word in (wording.words if wording else {}).items():
            text = F.when(text == each, F.lit(word)).otherwise(text)
    return F.struct(number.alias("value"), text.alias("value_text"))


def _parts(feature: Feature, typical: object, wording: Wording | None) -> tuple:
    """What the sentence of a feature is made of, in the order of `PARTS` from `usual` on."""
    plain = _plain(feature.name)
    wording = wording or plain
    number = float(typical) if feature.kind == "numeric" and typical is not None else None
    if number is not None and wording.shown_as in UNDONE:
        number = float(UNDONE[wording.shown_as][1](number))
    text = None
    # A blank is no value here either: see `_value`.
    is_given = typical is not None and str(typical).strip(parsing.BLANKS)
    if feature.kind != "numeric" and is_given:
        text = str(typical).lower() if feature.kind == "boolean" else str(typical)
        text = wording.words.get(text, text)
    side = {"more": 1, "less": -1}.get(wording.reason_when, 0)
    head, middle, tail = re.split(r"{value}|{typical}", wording.reason)
    unknown = wording.reason_if_null or plain.reason_if_null
    unknown_head, *unknown_tail = unknown.split("{typical}")
    return (
        *(number, text, SCALES[wording.shown_as], side, bool(wording.reason_if_null)),
        *(head, *_both(middle), *_both(tail)),
        *(unknown_head, *(_both(unknown_tail[0]) if unknown_tail else (None, None))),
    )


def _both(piece: str) -> tuple[str, str]:
    """What follows 1, and what follows another number."""
    return piece.replace("(s)", ""), piece.replace("(s)", "s")


def _plain(name: str) -> Wording:
    """The wording of a column about which nothing is known but its name."""
    said = words(name).replace("{", "(").replace("}", ")")
    return Wording(
        family="",
        reason=f"{said} is {{value}}; typically {{typical}}",
        reason_if_null=f"{said} is {UNKNOWN}; where it is known, typically {{typical}}",
    )


def _sentence(value: Column, fact: Column) -> Column:
    """A struct of text and is_telling."""
    own = F.coalesce(value["value_text"], _number(value["value"] * fact["scale"]))
    usual = fact["usual_shown"]

    def after(shown: Column, part: str) -> Column:
        return F.when(shown == "1", fact[f"{part}_one"]).otherwise(fact[part])

    known = F.concat(fact["head"], own, after(own, "middle"), usual, after(usual, "tail"))
    tail = after(usual, "unknown_tail")
    unknown = F.concat(fact["unknown_head"], F.coalesce(F.concat(usual, tail), F.lit("")))
    is_beyond = (value["value"] - fact["usual"]) * fact["side"] > 0
    is_telling = (
        F.when(own.isNull(), (fact["side"] == 0) & fact["has_unknown"])
        .when(fact["side"] != 0, F.coalesce(is_beyond, F.lit(False)) & (own != usual))
        .otherwise(own != usual)
    )
    text = F.coalesce(known, unknown)
    return F.struct(fact["place"], text.alias("text"), is_telling.alias("is_telling"))


def _shown(fact: Column, name: str) -> Column:
    shown = F.coalesce(fact[f"{name}_text"], _number(fact[name] * fact["scale"]))
    return F.coalesce(shown, F.lit(UNKNOWN))


def _number(value: Column) -> Column:
    """Whole from 10 on, two digits below: 12,345, 1984, 15, 2.4, 0.034."""
    size = F.abs(value)
    shown = F.when(value == 0, F.lit("0")).when(size >= GROUPED - 0.5, F.format_number(value, 0))
    shown = shown.when(size >= 10, F.format_string("%.0f", value))
    for decimals in range(1, DECIMALS + 1):
        digits = F.format_string(f"%.{decimals}f", value)
        trimmed = F.rtrim(F.rtrim(digits, F.lit("0")), F.lit("."))
        shown = shown.when(size >= 10.0 ** (1 - decimals), trimmed)
    return shown.when(value.isNotNull(), F.format_string("%.1e", value))
