"""How users who leave differ from users who stay, one row a user."""

import numpy as np
import pandas as pd
from scipy.special import expit, logit
from scipy.stats import false_discovery_control, norm, rankdata

# A difference is more than chance if this holds for all features looked at together.
LEVEL = 0.05
# Below so many users on either side nothing is compared.
MIN_USERS = 5
EMPTY = ("feature", "value", "ci_low", "ci_high", "q_value", "leave_median", "stay_median")


def differences(users: pd.DataFrame, *, label: str) -> pd.DataFrame:
    """How often a user who leaves has more of a feature than one who stays, feature by feature.

    `users`: one row a user, a boolean `label`, and numbers, nan where a user has none. Returns
    feature, value (share of pairs, ties as half; .5 is no difference) with its 95 % interval,
    q_value (of no difference, corrected for the number of features), leave_median and stay_median;
    the strongest first. Features of which either side has fewer than `MIN_USERS` are left out.
    Source: DeLong, DeLong & Clarke-Pearson (1988), for the variance; the interval is on the scale
    of log-odds; Benjamini & Hochberg (1995).
    """
    leaves = users[label].to_numpy(bool)
    rows = []
    for name in users.columns.drop(label):
        left, stayed = (
            users.loc[side, name].dropna().to_numpy(float) for side in (leaves, ~leaves)
        )
        if min(len(left), len(stayed)) >= MIN_USERS and len(np.unique([*left, *stayed])) > 1:
            medians = {"leave_median": np.median(left), "stay_median": np.median(stayed)}
            rows.append({"feature": name, **_superiority(left, stayed), **medians})
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
    error = np.sqrt(of_left.var(ddof=1) / len(left) + of_stayed.var(ddof=1) / len(stayed))
    # At 0 and 1, where all pairs agree, there is no log-odds: half a pair away there is.
    inside = np.clip(value, 0.5 / len(left) / len(stayed), 1 - 0.5 / len(left) / len(stayed))
    width = norm.ppf(0.975) * error / (inside * (1 - inside))
    low, high = expit(logit(inside) - width), expit(logit(inside) + width)
    p_value = 2 * norm.sf(abs(value - 0.5) / error) if error > 0 else float(value == 0.5)
    return {"value": value, "ci_low": low, "ci_high": high, "p_value": p_value}
