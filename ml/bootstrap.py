"""Intervals from resampled users: they, not rows, are independent."""

from collections.abc import Iterator

import numpy as np

# How many weights a chunk of draws may hold: 8 bytes each.
CHUNK = 4_000_000
# An interval's own error depends on the draws, not on the rows: with many rows, fewer are enough.
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
        yield drawn[:, index].astype(float)


def interval(values: np.ndarray) -> tuple[float, float]:
    """The middle 95 %; a draw without a value (say, without a churner) is left out."""
    low, high = np.nanpercentile(values, [2.5, 97.5])
    return float(low), float(high)
