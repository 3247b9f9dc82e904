"""Whether a probability of .2 means two in ten."""

import numpy as np
import pandas as pd
from scipy.optimize import minimize
from scipy.special import expit

from ml.bootstrap import interval, rarer_users, row_weights


def equal_bins(p: np.ndarray, *, bins: int = 10) -> np.ndarray:
    """The bin of each probability: about equally many rows a bin, equal values in one bin."""
    values, inverse, counts = np.unique(p, return_inverse=True, return_counts=True)
    middle = (np.cumsum(counts) - counts / 2) / len(p)
    return np.minimum((middle * bins).astype(int), bins - 1)[inverse]


def expected_calibration_error(
    y: np.ndarray, p: np.ndarray, weights: np.ndarray, *, bins: int = 10
) -> np.ndarray:
    """Mean distance between predicted and observed share over bins of equal size.

    y, p: (rows,); weights: (draws, rows). Returns (draws,).
    Source: Naeini et al. (2015); bins of equal size after Nguyen & O'Connor (2015).
    """
    member = equal_bins(p, bins=bins)[:, None] == np.arange(bins)
    gaps = np.abs(weights @ (member * (y - p)[:, None]))
    return gaps.sum(axis=1) / weights.sum(axis=1)


def reliability(rows: pd.DataFrame, *, draws: int, seed: int, bins: int = 10) -> pd.DataFrame:
    """The reliability curve, and in bin 0 all rows together: expected churners against counted.

    `rows`: user, y (0 or 1), p. Returns bin (1 to `bins`, about equally many rows each, the lowest
    probabilities first), row_count, mean_probability, observed_share with ci_low and ci_high,
    expected_churners (the sum of p) and observed_churners with churners_low and churners_high.

    A bin's 95 % interval is Wilson's, on rows divided by the design effect: a bin may well hold no
    churner at all, where a bootstrap would claim an interval without width, and a user's rows
    are not independent, which Wilson by itself ignores. That of bin 0 is by bootstrap over users.
    Source: Wilson (1927); Korn & Graubard (1998), intervals for proportions in clustered samples.
    """
    y, p = rows["y"].to_numpy(float), rows["p"].to_numpy()
    table = pd.DataFrame({"bin": equal_bins(p, bins=bins) + 1, "p": p, "y": y})
    curve = _shares(table)
    effect = design_effect(table["bin"].to_numpy(), rows["user"].to_numpy(), y - p)
    low, high = wilson(curve["observed_share"], curve["row_count"] / effect)
    overall = _shares(table.assign(bin=0))
    sampled = np.concatenate(
        [
            weights @ y / weights.sum(axis=1)
            for weights in row_weights(rows["user"].to_numpy(), draws=draws, seed=seed)
        ]
    )
    rarer = rarer_users(y, rows["user"].to_numpy())
    overall["ci_low"], overall["ci_high"] = interval(
        y.mean(), sampled, rarer=rarer, floor=0.0, ceiling=1.0
    )
    found = pd.concat([overall, curve.assign(ci_low=low, ci_high=high)], ignore_index=True)
    return found.assign(
        expected_churners=found["mean_probability"] * found["row_count"],
        observed_churners=found["observed_share"] * found["row_count"],
        churners_low=found["ci_low"] * found["row_count"],
        churners_high=found["ci_high"] * found["row_count"],
    )


def platt(log_odds: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Intercept and slope that turn log-odds (rows,) into calibrated ones; no slope is negative.

    Targets are Platt's, a little inside of 0 and 1, so that separable rows have a solution.
    Source: Platt (1999), Probabilistic outputs for support vector machines.
    """
    positives, negatives = y.sum(), len(y) - y.sum()
    target = np.where(y > 0, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    intercept, slope = _line(log_odds[:, None], target, penalty=0.0)
    return float(intercept), float(slope)


def stack(log_odds: np.ndarray, y: np.ndarray, *, penalty: float) -> np.ndarray:
    """Intercept and weights (1 + columns,) of a ridge logistic regression; no weight is negative.

    log_odds: (rows, learners). Those of good learners are nearly collinear: without the bound they
    get huge weights of opposite signs. The penalty is on weights of columns with deviation 1.
    Source: Breiman (1996), Stacked regressions.
    """
    deviation = log_odds.std(axis=0)
    # A learner that says the same of every row has no weight.
    scale = np.divide(1, deviation, out=np.zeros_like(deviation), where=deviation > 0)
    return _line(log_odds * scale, y, penalty=penalty) * np.append(1, scale)


def _line(inputs: np.ndarray, target: np.ndarray, *, penalty: float) -> np.ndarray:
    """Intercept and nonnegative weights of the inputs (rows, columns) with the least log loss."""

    def loss(line: np.ndarray) -> tuple[float, np.ndarray]:
        weights = line[1:]
        odds = line[0] + inputs @ weights
        error = (expit(odds) - target) / len(target)
        value = (np.logaddexp(0, odds) - target * odds).mean() + penalty / 2 * weights @ weights
        return float(value), np.append(error.sum(), error @ inputs + penalty * weights)

    width = inputs.shape[1]
    bounds = [(None, None), *[(0, None)] * width]
    start = np.append(0, np.full(width, 1 / width))
    return minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x


def wilson(share: pd.Series, n: pd.Series) -> tuple[pd.Series, pd.Series]:
    """Wilson's 95 % interval of a share of `n` independent rows."""
    z = 1.959964
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return (centre - half).clip(lower=0), (centre + half).clip(upper=1)


def design_effect(bin: np.ndarray, user: np.ndarray, residual: np.ndarray) -> float:
    """How many times as variable a bin's mean is as if its rows were independent; 1 or more.

    One figure for all bins, as a single bin holds too few users to tell.
    Source: Kish (1965), Survey Sampling; the linearized variance over clusters.
    """
    sums = pd.Series(residual).groupby([bin, user]).sum()
    return max(1.0, float((sums**2).sum() / (residual**2).sum()))


def _shares(table: pd.DataFrame) -> pd.DataFrame:
    return (
        table.groupby("bin")
        .agg(row_count=("y", "size"), mean_probability=("p", "mean"), observed_share=("y", "mean"))
        .reset_index()
    )
