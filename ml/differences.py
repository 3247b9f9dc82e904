"""How users who leave differ from users who stay, one row a user."""

import numpy as np
import pandas as pd
from scipy.special import comb, expit, logit
from scipy.stats import false_discovery_control, rankdata, t

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
    Source: Brunner & Munzel (2000), for the test, which lets one side spread wider, as means of few
    dates do; its interval is on the scale of log-odds; Benjamini & Hochberg (1995).
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
    ranks = rankdata(np.concatenate([left, stayed]))
    of_left = (ranks[: len(left)] - rankdata(left)) / len(stayed)
    of_stayed = (ranks[len(left) :] - rankdata(stayed)) / len(left)
    value = of_left.mean()
    if value in (0, 1):
        return _apart(left, stayed, value)
    parts = np.array([of_left.var(ddof=1) / len(left), of_stayed.var(ddof=1) / len(stayed)])
    error = np.sqrt(parts.sum())
    freedom = parts.sum() ** 2 / (parts**2 / [len(left) - 1, len(stayed) - 1]).sum()
    width = t.ppf(0.975, freedom) * error / (value * (1 - value))
    return {
        "value": value,
        "ci_low": expit(logit(value) - width),
        "ci_high": expit(logit(value) + width),
        "p_value": 2 * t.sf(abs(value - 0.5) / error, freedom),
    }


def _apart(left: np.ndarray, stayed: np.ndarray, value: float) -> dict[str, float]:
    """The same where all pairs agree, and nothing shows how far chance reaches.

    The p-value is exact: of all ways to choose who leaves, two are as far apart. The limit is that
    of users of whom the nearest two changed sides.
    """
    left, stayed = np.sort(left), np.sort(stayed)
    nearest = (0, -1) if value == 1 else (-1, 0)
    left[nearest[0]], stayed[nearest[1]] = stayed[nearest[1]], left[nearest[0]]
    swapped = _superiority(left, stayed)
    limits = {"ci_low": swapped["ci_low"], "ci_high": 1.0}
    if value == 0:
        limits = {"ci_low": 0.0, "ci_high": swapped["ci_high"]}
    ways = comb(len(left) + len(stayed), len(left), exact=True)
    return {"value": value, **limits, "p_value": 2 / ways}
