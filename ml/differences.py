"""How users who leave differ from users who stay, one row a user."""

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.stats import false_discovery_control, mannwhitneyu, norm

# A difference is more than chance if this holds for all features looked at together.
LEVEL = 0.05
# Below so many users on either side nothing is compared.
MIN_USERS = 5
INTERVAL = ("value", "ci_low", "ci_high", "q_value")
EMPTY = ("feature", *INTERVAL, "leave_median", "stay_median", "leave_count", "stay_count")


def differences(users: pd.DataFrame, *, label: str) -> pd.DataFrame:
    """How often a user who leaves has more of a feature than one who stays, feature by feature.

    `users`: one row a user, a boolean `label`, and numbers, nan where a user has none. Returns
    feature, value (share of pairs, ties as half; .5 is no difference) with its 95 % interval,
    q_value (of no difference, corrected for the number of features), the median of either side and
    of how many users; the strongest first. Features of which either side has fewer than `MIN_USERS`
    are left out.
    Source: Newcombe (2006), method 5, for the interval; Mann & Whitney (1947), for the test;
    Benjamini & Hochberg (1995).
    """
    leaves = users[label].to_numpy(bool)
    rows = []
    for name in users.columns.drop(label):
        left, stayed = (
            users.loc[side, name].dropna().to_numpy(float) for side in (leaves, ~leaves)
        )
        if min(len(left), len(stayed)) >= MIN_USERS and len(np.unique([*left, *stayed])) > 1:
            sides = {
                "leave_median": np.median(left),
                "stay_median": np.median(stayed),
                "leave_count": len(left),
                "stay_count": len(stayed),
            }
            rows.append({"feature": name, **_superiority(left, stayed), **sides})
    if not rows:
        return pd.DataFrame(columns=EMPTY)
    table = pd.DataFrame(rows)
    table.insert(4, "q_value", false_discovery_control(table.pop("p_value")))
    order = (table["value"] - 0.5).abs().sort_values(ascending=False, kind="stable").index
    return table.loc[order].reset_index(drop=True)


def _superiority(left: np.ndarray, stayed: np.ndarray) -> dict[str, float]:
    """The share of pairs in which `left` is greater, its interval, and the p-value of one half."""
    test = mannwhitneyu(left, stayed)
    value = test.statistic / (len(left) * len(stayed))
    mean_size = (len(left) + len(stayed)) / 2 - 1

    def excess(share: float) -> float:
        """By how much the value is further from a true share than chance would bring it."""
        spread = 1 + mean_size * ((1 - share) / (2 - share) + share / (1 + share))
        variance = share * (1 - share) * spread / (len(left) * len(stayed))
        return abs(value - share) - norm.ppf(0.975) * np.sqrt(variance)

    # At 0 and 1 nothing is left to chance: the limits lie between.
    return {
        "value": value,
        "ci_low": brentq(excess, 0, min(value, 1 - 1e-9)) if value > 0 else 0.0,
        "ci_high": brentq(excess, max(value, 1e-9), 1) if value < 1 else 1.0,
        "p_value": test.pvalue,
    }
