"""Intervals from resampled users: they, not rows, are independent."""

from collections.abc import Iterator

import numpy as np
from scipy.special import expit, logit, stdtrit

# How many weights a chunk of draws may hold: 8 bytes each.
CHUNK = 4_000_000
# A standard error's own error depends on the draws, not on the rows: 200 leave 5 % of it.
MOST_WEIGHTS, MIN_DRAWS = 15_000_000, 200


def row_weights(user: np.ndarray, *, draws: int, seed: int) -> Iterator[np.ndarray]:
    """Chunks of (draws, rows): how often each row's user was drawn, with replacement.

    `user` names the user of each row. With more than `MOST_WEIGHTS` / `draws` rows there are
    fewer draws, but not fewer than `MIN_DRAWS`, or than asked for.
    Source: Field & Welsh (2007), bootstrapping clustered data.
    """
    names, index = np.unique(user, return_inverse=True)
    generator = np.random.default_rng(seed)
    draws = min(draws, max(MIN_DRAWS, MOST_WEIGHTS // len(user)))
    size = max(1, CHUNK // len(user))
    for start in range(0, draws, size):
        count = min(size, draws - start)
        drawn = generator.multinomial(len(names), np.full(len(names), 1 / len(names)), size=count)
        yield drawn.astype(float)[:, index]


def rarer_users(y: np.ndarray, user: np.ndarray) -> int:
    """How many users have a row of the rarer class; `y` (0 or 1) and `user` are (rows,)."""
    return min(len(np.unique(user[y > 0])), len(np.unique(user[y <= 0])))


def interval(
    value: np.ndarray | float,
    draws: np.ndarray,
    *,
    rarer: int,
    floor: float = -np.inf,
    ceiling: float = np.inf,
) -> tuple[np.ndarray, np.ndarray]:
    """The lower and upper 95 % limits, (metrics,), of `value`, (metrics,), from draws of it.

    `draws`: (draws, metrics); one without a value (say, without a churner) is left out. The limits
    are the value, less its bias, plus or minus t standard errors, both as the draws show them.
    t has `rarer` (see `rarer_users`) - 1 degrees of freedom, for it is the rarer class that the
    uncertainty comes from; the percentiles of the draws lie too close together where it is small.
    A metric between `floor` and `ceiling` is treated on the scale of log-odds, one with a floor
    only on that of logarithms, so that its limits do not pass them. One that is the same in every
    draw has an interval without width.
    Source: Efron & Tibshirani (1993), An Introduction to the Bootstrap, chapters 10 and 12;
    Hesterberg (2015), The American Statistician 69(4), on percentiles that are too narrow.
    """
    value = np.asarray(value, float)
    error = np.nanstd(draws, axis=0, ddof=1)
    width = stdtrit(max(1, rarer - 1), 0.975) * error
    # Half a standard error from the bounds at least: on them neither scale is defined.
    centre = 2 * value - np.nanmean(draws, axis=0)
    centre = np.clip(centre, floor + error / 2, ceiling - error / 2)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        if np.isfinite(ceiling):
            span = ceiling - floor
            share = (centre - floor) / span
            step = width / span / (share * (1 - share))
            low, high = (floor + span * expit(logit(share) + s) for s in (-step, step))
        elif np.isfinite(floor):
            step = np.exp(width / (centre - floor))
            low, high = floor + (centre - floor) / step, floor + (centre - floor) * step
        else:
            low, high = centre - width, centre + width
    return np.where(error > 0, low, value), np.where(error > 0, high, value)
