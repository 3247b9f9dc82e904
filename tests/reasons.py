"""What the reasons of a user must be, computed without Spark from what is known of the user."""

import math
import re
from decimal import ROUND_HALF_UP, Decimal

import pandas as pd

from ml.explaining import ABOVE, BACKGROUND, NO_ACTION, NO_MORE, NO_SINGLE
from ml.wording import SCALES, UNKNOWN, Wording


def expected_reasons(row: dict, explained: dict, model) -> list[str]:
    """The reasons of a user. row: the features; explained: a row of `explaining.contributions`."""
    probability = 1 / (1 + math.exp(-explained["log_odds"]))
    if probability <= model.average_risk * (1 + ABOVE):
        return [NO_MORE]
    found, withheld = [], NO_SINGLE
    for family, members in model.families.items():
        contribution = explained["contributions"][family]
        if contribution < 0.01:
            continue
        alone = explained["alone"]
        first = max(members, key=lambda name: abs(alone[name]))
        wording = model.wording.get(first)
        if alone[first] <= 0 or not is_why(row[first], model.typical[first], wording):
            continue
        if family == BACKGROUND:
            withheld = f"{NO_ACTION} ({first.replace('_', ' ')})"
        else:
            text = sentence(first, row[first], model.typical[first], wording)
            found.append((-round(contribution, 9), family, text))
    return [text for *_, text in sorted(found)][:3] or [withheld]


def is_why(value: object, typical: object, wording: Wording | None) -> bool:
    """Whether a value can be why a user is at risk."""
    when = wording.reason_when if wording else ""
    if missing(value):
        return not when and (wording is None or wording.reason_if_null != "")
    if printed(value, wording) == printed(typical, wording):
        return False
    return not when or (value > typical if when == "more" else value < typical)


def sentence(name: str, value: object, typical: object, wording: Wording | None) -> str:
    if wording is None:
        name = name.replace("_", " ").replace("{", "(").replace("}", ")")
        usually = "where it is known, typically" if missing(value) else "typically"
        return f"{name} is {printed(value, None)}; {usually} {printed(typical, None)}"
    text = wording.reason_if_null if missing(value) else wording.reason
    for place, each in (("value", value), ("typical", typical)):
        before, found, after = text.partition(f"{{{place}}}")
        if not found:
            continue
        nearest, mark, rest = after.partition("{")
        nearest = nearest.replace("(s)", "" if printed(each, wording) == "1" else "s")
        text = before + printed(each, wording) + nearest + mark + rest
    return text


def missing(value: object) -> bool:
    return value is None or (isinstance(value, float) and not math.isfinite(value)) or value == ""


def printed(value: object, wording: Wording | None) -> str:
    """Numbers with two digits below 10, whole above, and commas from 10,000 on."""
    if missing(value):
        return UNKNOWN
    if isinstance(value, bool | str):
        text = str(value).lower() if isinstance(value, bool) else value
        return wording.words.get(text, text) if wording else text
    kept_as = wording.shown_as if wording else ""
    value = undone(float(value), kept_as) * SCALES[kept_as]
    if value == 0:
        return "0"
    decimals = max(0, 1 - math.floor(math.log10(abs(value)))) if abs(value) < 10 else 0
    step = Decimal(1).scaleb(-decimals)
    rounded = Decimal(repr(value)).quantize(step, rounding=ROUND_HALF_UP)
    text = f"{rounded:,f}" if abs(rounded) >= 10_000 else f"{rounded:f}"
    return re.sub(r"\.?0+$", "", text) if "." in text else text


def undone(value: float, kept_as: str) -> float:
    """The number of which a logarithm or log-odds are kept."""
    if kept_as == "log":
        return round(math.exp(value) - 1, 6)
    return 1 / (1 + math.exp(-value)) if kept_as == "percent of log-odds" else value


def reasons_by_user(scores: pd.DataFrame, *, user: str) -> dict[str, list[str]]:
    """The reasons that a user has, in order."""
    columns = ["reason_1", "reason_2", "reason_3"]
    return {
        row[user]: [row[name] for name in columns if isinstance(row[name], str)]
        for row in scores.to_dict("records")
    }
