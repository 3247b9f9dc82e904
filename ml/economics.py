"""What contacting users is worth: break-even, profit by share contacted, and by policy."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from ml.bootstrap import interval, rarer_users, row_weights

# Nodes of the quadrature over the acceptance rate: within .2 % of the exact integral.
NODES = 32
# Thresholds looked at in a bootstrap draw: half of them the first ones, for where few churn few are
# worth contacting, and the others spread evenly.
STEPS = 2_000
TOP_SHARE = 0.1


@dataclass(frozen=True, kw_only=True)
class Offer:
    """What a campaign costs and brings, in one currency.

    customer_value: what a user who stays is worth; free_value: one who is not known to pay, if that
    is another sum. contact_cost: of reaching one user.
    offer_cost: of the discount, for each user who takes it; a user who would have stayed takes it.
    acceptance: share of churners who take it and stay. certainty: how many campaigns' worth of
    experience stands behind `acceptance`, as the sum of a beta distribution's parameters; the
    defaults are those of Verbraken et al. (2013). currency: its code (ISO 4217).

    Raises:
        ValueError: a cost below 0, an acceptance outside (0, 1), an offer dearer than a customer.
    """

    customer_value: float = 200.0
    contact_cost: float = 1.0
    offer_cost: float = 10.0
    acceptance: float = 0.3
    certainty: float = 20.0
    currency: str = "USD"
    free_value: float | None = None

    def __post_init__(self) -> None:
        if min(self.contact_cost, self.offer_cost) < 0:
            raise ValueError("contact_cost and offer_cost must be 0 or more.")
        if not 0 < self.acceptance < 1 or self.certainty <= 0:
            raise ValueError(
                f"acceptance is {self.acceptance}; it must lie between 0 and 1 "
                "and certainty must be above 0."
            )
        value = min(self.customer_value, self.customer_value_of(np.zeros(1))[0])
        if value <= self.offer_cost:
            raise ValueError(
                f"customer_value ({value}) must exceed offer_cost "
                f"({self.offer_cost}): otherwise no contact ever pays."
            )

    @property
    def assumptions(self) -> str:
        """In words, to be shown beside every sum that rests on them."""
        value = f"{self.customer_value:.10g}"
        if self.free_value is not None:
            value = f"paid {value} and free {self.free_value:.10g}"
        return (
            f"customer_value {value}, contact_cost {self.contact_cost:.10g}, "
            f"offer_cost {self.offer_cost:.10g} {self.currency}; acceptance {self.acceptance:.10g}"
        )

    def customer_value_of(self, is_paid: np.ndarray) -> np.ndarray:
        """What each user who stays is worth: is_paid has true, false or null."""
        free = self.customer_value if self.free_value is None else self.free_value
        pays = pd.Series(is_paid, dtype=object).eq(True)
        return np.where(pays, self.customer_value, free)

    def on_average(self, rows: pd.DataFrame) -> "Offer":
        """The offer with one value for all: the mean of `rows`, if they say who pays."""
        value = float(np.mean(_values(rows, self)))
        return replace(self, customer_value=value, free_value=None)


@dataclass(frozen=True)
class MaximumProfit:
    """value: currency per user; share: of the users to contact."""

    value: float
    share: float


def break_even(offer: Offer, value: np.ndarray | float | None = None) -> np.ndarray:
    """The probability of churn from which contacting a user pays, at most 1.

    p (acceptance (value - offer cost)) = contact cost + (1 - p) offer cost, solved for p. value: of
    each user who stays; the offer's customer_value without.
    """
    value = offer.customer_value if value is None else value
    cost = offer.contact_cost + offer.offer_cost
    saved = offer.acceptance * (value - offer.offer_cost)
    return np.minimum(1.0, cost / (saved + offer.offer_cost))


def contact_profit(
    churn: np.ndarray, offer: Offer, value: np.ndarray | float | None = None
) -> np.ndarray:
    """The mean profit of contacting users: `churn` is what happened (0 or 1) or a probability.

    value: as of `break_even`.

    Source: Verbraken, Verbeke & Baesens (2013), IEEE TKDE 25(5), equation of the average profit.
    """
    value = offer.customer_value if value is None else value
    saved = offer.acceptance * (value - offer.offer_cost)
    return churn * saved - (1 - churn) * offer.offer_cost - offer.contact_cost


def profit_curve(rows: pd.DataFrame, offer: Offer, *, draws: int, seed: int) -> pd.DataFrame:
    """The profit by share contacted, highest probability first, in percent steps.

    `rows`: user, y, p, and is_paid where it is known. Returns share (0 to 1), threshold (the lowest
    probability contacted), expected (by p) and realised (by y) with ci_low and ci_high: currency
    per row of `rows`.
    """
    rows = rows.sort_values("p", ascending=False, kind="stable")
    y, p = rows["y"].to_numpy(float), rows["p"].to_numpy()
    percents = np.arange(101)
    shares = percents / 100
    taken = np.column_stack([_top(p, share) for share in shares])
    value = _values(rows, offer)
    realised = taken * contact_profit(y, offer, value)[:, None]
    sampled = np.concatenate(
        [
            weights @ realised / weights.sum(axis=1, keepdims=True)
            for weights in row_weights(rows["user"].to_numpy(), draws=draws, seed=seed)
        ]
    )
    rarer = rarer_users(y, rows["user"].to_numpy())
    low, high = interval(realised.mean(axis=0), sampled, rarer=rarer)
    # In whole numbers, rounded up: 0.07 * 100 is a little more than 7.
    last = np.maximum(-(-percents * len(p) // 100) - 1, 0)
    return pd.DataFrame(
        {
            "share": shares,
            "threshold": p[last],
            "expected": (taken * contact_profit(p, offer, value)[:, None]).mean(axis=0),
            "realised": realised.mean(axis=0),
            "ci_low": low,
            "ci_high": high,
        }
    )


def policies(rows: pd.DataFrame, offer: Offer, *, draws: int, seed: int) -> pd.DataFrame:
    """What each way to choose whom to contact would have earned.

    `rows`: user, origin (the campaign's date), y, p, is_paid where it is known, and inactivity
    (days, may be null: no such policy then). A decile is of each campaign; at its border equal
    users share the places left. Returns policy, share_contacted, profit (currency per row) with
    ci_low and ci_high, and score_gain, score_gain_low, score_gain_high: how much more "score above
    break-even" earns.
    """
    rows = rows.reset_index(drop=True)
    contacted = _contacted(rows, offer)
    y, user = rows["y"].to_numpy(float), rows["user"].to_numpy()
    profit = contact_profit(y, offer, _values(rows, offer))[:, None] * contacted.to_numpy()
    gain = profit[:, [list(contacted).index(BY_SCORE)]] - profit
    both = np.column_stack([profit, gain])
    sampled = np.concatenate(
        [
            weights @ both / weights.sum(axis=1, keepdims=True)
            for weights in row_weights(user, draws=draws, seed=seed)
        ]
    )
    low, high = interval(both.mean(axis=0), sampled, rarer=rarer_users(y, user))
    count = len(contacted.columns)
    return pd.DataFrame(
        {
            "policy": contacted.columns,
            "share_contacted": contacted.mean().to_numpy(),
            "profit": profit.mean(axis=0),
            "ci_low": low[:count],
            "ci_high": high[:count],
            "score_gain": gain.mean(axis=0),
            "score_gain_low": low[count:],
            "score_gain_high": high[count:],
        }
    )


def expected_maximum_profit(y: np.ndarray, p: np.ndarray, offer: Offer) -> MaximumProfit:
    """The profit at the best threshold, averaged over what the acceptance rate may be: EMPC.

    Source: Verbraken et al. (2013), computed by the package `empulse`.
    """
    from empulse.metrics import empc_score

    terms = {
        "alpha": offer.acceptance * offer.certainty,
        "beta": (1 - offer.acceptance) * offer.certainty,
        "clv": offer.customer_value,
        "incentive_cost": offer.offer_cost,
        "contact_cost": offer.contact_cost,
    }
    return MaximumProfit(
        float(empc_score(y, p, **terms)), float(empc_score.optimal_rate(y, p, **terms))
    )


def sampled_maximum_profit(
    hits: np.ndarray, misses: np.ndarray, total: np.ndarray, offer: Offer
) -> np.ndarray:
    """The same for many draws at once, by quadrature: currency per row, (draws,).

    hits, misses: churners and others contacted down to each threshold, (draws, thresholds);
    total: rows of each draw, (draws,). Contacting nobody is a choice too.
    """
    last, half = hits.shape[1] - 1, STEPS // 2
    evenly = np.linspace(0, last, half).astype(int)
    kept = np.unique(np.concatenate([np.arange(min(last + 1, half)), evenly]))
    hits, misses = hits[:, kept], misses[:, kept]
    rates, weights = _acceptance(offer)
    best = np.zeros(len(hits))
    cost = (offer.offer_cost + offer.contact_cost) * misses
    for rate, weight in zip(rates, weights, strict=True):
        each = rate * (offer.customer_value - offer.offer_cost) - offer.contact_cost
        best += weight * np.maximum((each * hits - cost).max(axis=1), 0)
    return best / total


BY_SCORE = "score above break-even"


def _contacted(rows: pd.DataFrame, offer: Offer) -> pd.DataFrame:
    """A column per policy: how much of each row's user is contacted, 0 to 1."""
    by_origin = rows.groupby("origin", sort=False)

    def top_decile(column: str) -> np.ndarray:
        return by_origin[column].transform(lambda part: _top(part.to_numpy(), TOP_SHARE))

    chosen = {"nobody": 0.0, "everybody": 1.0}
    if "inactivity" in rows and rows["inactivity"].notna().all():
        chosen["top decile by inactivity"] = top_decile("inactivity")
    chosen["top decile by score"] = top_decile("p")
    chosen[BY_SCORE] = (rows["p"] >= break_even(offer, _values(rows, offer))).astype(float)
    return pd.DataFrame(chosen, index=rows.index)


def _values(rows: pd.DataFrame, offer: Offer) -> np.ndarray:
    """What each row's user who stays is worth: of whom nobody knows that, as one who is free."""
    is_paid = rows["is_paid"] if "is_paid" in rows else pd.Series(None, index=rows.index)
    return offer.customer_value_of(is_paid.to_numpy(object))


def _top(values: np.ndarray, share: float) -> np.ndarray:
    """1 for the highest `share` of the values, 0 for others; equal ones at the border in part."""
    count = share * len(values)
    unique, inverse, sizes = np.unique(-values, return_inverse=True, return_counts=True)
    before = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    return np.clip((count - before) / sizes, 0, 1)[inverse]


def _acceptance(offer: Offer) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights of the Gauss-Jacobi quadrature over the beta distribution."""
    from scipy.special import roots_jacobi

    alpha = offer.acceptance * offer.certainty
    nodes, weights = roots_jacobi(NODES, offer.certainty - alpha - 1, alpha - 1)
    return (nodes + 1) / 2, weights / weights.sum()
