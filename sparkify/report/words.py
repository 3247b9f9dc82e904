"""How the page says numbers and names."""

import ast
import datetime as dt
from collections.abc import Mapping, Sequence

import pandas as pd

from sparkify.formatting import digits, nearly_all, rounded
from sparkify.formatting import money as money
from sparkify.formatting import noun as noun
from sparkify.formatting import number as number
from sparkify.formatting import plural as plural

# What is called otherwise than its name without underscores.
CALLED = {
    "gradient_boosted_trees": "gradient-boosted trees",
    "linear_svm": "linear SVM",
    "naive_bayes": "naive Bayes",
    "average": "average of all",
    "stack": "stack of all",
    "base_rate": "no skill",
}
# What a metric is called, and which way it is better.
METRICS = {
    "log_loss": ("Log loss", "Lower is better"),
    "roc_auc": ("ROC AUC", "Higher is better"),
    "pr_auc": ("PR AUC", "Higher is better"),
    "f1": ("F1 of leaving", "Higher is better"),
    "f1_weighted": ("F1, weighted", "Higher is better"),
}
# Those that only a model card has.
MORE_METRICS = {
    "brier": "Brier score",
    "mcc": "Matthews correlation coefficient",
    "ece": "Expected calibration error",
    "top_decile_lift": "Lift of the riskiest tenth",
    "expected_maximum_profit": "Expected maximum profit, a row",
}
PROTOCOLS = {
    "random split of whole histories": "the usual way",
    "backtest of what was known": "this backtest",
}


def called(candidate: str) -> str:
    """What a candidate is called on the page: `random forest`."""
    return CALLED.get(candidate, candidate.replace("_", " "))


def two_digits(value: float) -> str:
    """A mean with two digits that say something: 0.00034, 2.6, 123."""
    if pd.isna(value):
        return "unknown"
    return number(value) if abs(value) >= 99.5 else digits(value, 2)


def percent(share: float) -> str:
    """A share with digits that say something: 0.004 %, 4.3 %, 43 %, 99.6 %."""
    if pd.isna(share):
        return "an unknown share"
    if 0.995 <= share < 1:
        # What is left to all of them says something too.
        return f"{nearly_all(share)}\u00a0%"
    is_small = 0 < share < 0.0005
    said = digits(100 * share, 1) if is_small else rounded(100 * share, int(0 < share < 0.0995))
    # A line does not end between the number and its sign.
    return f"{said}\u00a0%"


def listed(words: Sequence[str]) -> str:
    """Words as a list in a sentence: a, b and c."""
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


def day(date: dt.date | pd.Timestamp) -> str:
    """A date as people read it: 5 November 2018."""
    return f"{date.day} {date:%B %Y}"


def point(settings: Mapping[str, object] | str) -> str:
    """A point of a learner's grid, or the text of one: columns all, regParam 0.1."""
    if isinstance(settings, str):
        settings = ast.literal_eval(settings)
    return ", ".join(f"{name} {value}" for name, value in settings.items())
