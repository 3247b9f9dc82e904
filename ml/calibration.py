"""Whether a probability of .2 means two in ten."""

import numpy as np
import pandas as pd


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


def reliability(y: np.ndarray, p: np.ndarray, *, bins: int = 10) -> pd.DataFrame:
    """The reliability curve: bin, row_count, mean_probability, observed_share, ci_low, ci_high.

    The interval is Wilson's 95 % for a share (Wilson, 1927).
    """
    table = pd.DataFrame({"bin": equal_bins(p, bins=bins), "p": p, "y": y})
    curve = table.groupby("bin").agg(
        row_count=("y", "size"), mean_probability=("p", "mean"), observed_share=("y", "mean")
    )
    n, share, z = curve["row_count"], curve["observed_share"], 1.959964
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return curve.assign(ci_low=centre - half, ci_high=centre + half).reset_index()
