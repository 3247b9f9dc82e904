"""Metrics beside what no skill would score, with intervals that resample whole users."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from ml.bootstrap import interval, rarer_users, row_weights
from ml.calibration import expected_calibration_error
from ml.economics import Offer, sampled_maximum_profit
from ml.stacking import BASE_RATE

# The least and the most that a metric can be, where it is not 0 and 1.
BOUNDS = {
    "log_loss": (0.0, np.inf),
    "mcc": (-1.0, 1.0),
    "top_decile_lift": (0.0, 10.0),
    "expected_maximum_profit": (0.0, np.inf),
}
# Too high in a sample, by more than they may be above their bound: see `performance`.
BIASED = ("expected_maximum_profit", "ece")


@dataclass(frozen=True)
class Gain:
    """Mean log loss of `reference` minus that of `candidate` on the same rows: positive is better.

    ci_low and ci_high are its 95 % limits; standard_error is of resampled users. In nats a row.
    """

    candidate: str
    reference: str
    value: float
    ci_low: float
    ci_high: float
    standard_error: float


def performance(
    predictions: pd.DataFrame, *, draws: int, seed: int, offer: Offer | None = None
) -> pd.DataFrame:
    """Every metric of every candidate, with a 95 % interval and its no-skill value.

    `predictions` has a row per row predicted and candidate: user, candidate, y (0 or 1), p, flagged
    (p reached the threshold), with the rows in the same order for each candidate, one of which
    is `base_rate`. Returns candidate, metric, value, ci_low, ci_high, no_skill, row_count,
    user_count, churner_count.

    The no-skill value is what a constant reaches: the base rate of the training rows for
    log_loss, brier and ece; the better of "all churn" and "nobody churns" for f1 and
    f1_weighted, and of contacting everybody and nobody for expected_maximum_profit (currency a row,
    under `offer`), so that no metric flatters a model because churn is rare.

    An interval is for what the metric would be of all users such as these. Of
    expected_maximum_profit that is the highest point of their curve of profit by cut-off. The value
    is the highest point of the sample's curve, found with hindsight on rows whose noise it follows,
    so it is too high, in simulated worlds by about half a standard error however many the users;
    the interval is around the value less this bias, and stretched to hold the value. ece is too
    high by more than the draws can tell, and its lower limit is too high as well.
    Source: Field & Welsh (2007), bootstrapping clustered data; users, not rows, are independent.
    """
    offer = offer or Offer()
    parts = {name: part for name, part in predictions.groupby("candidate", sort=False)}
    base = parts[BASE_RATE]
    user = base["user"].to_numpy()
    ones = np.ones((1, len(base)))
    no_skill = _no_skill(base["y"].to_numpy(float), base["p"].to_numpy(), ones, offer)
    sampled: dict[str, list[dict[str, np.ndarray]]] = {name: [] for name in parts}
    for weights in row_weights(user, draws=draws, seed=seed):
        for name, part in parts.items():
            sampled[name].append(_metrics(part, weights, offer))
    churners = base.loc[base["y"] > 0, "user"].nunique()
    rarer = rarer_users(base["y"].to_numpy(), user)
    counts = {"row_count": len(base), "user_count": len(set(user)), "churner_count": churners}
    rows = []
    for name, part in parts.items():
        for metric, value in _metrics(part, ones, offer).items():
            values = np.concatenate([chunk[metric] for chunk in sampled[name]])
            floor, ceiling = BOUNDS.get(metric, (0.0, 1.0))
            scale = {} if metric in BIASED else {"floor": floor, "ceiling": ceiling}
            low, high = np.clip(interval(value[0], values, rarer=rarer, **scale), floor, ceiling)
            rows.append(
                {
                    "candidate": name,
                    "metric": metric,
                    "value": float(value[0]),
                    "ci_low": float(np.fmin(low, value[0])),
                    "ci_high": float(np.fmax(high, value[0])),
                    "no_skill": no_skill[metric],
                    **counts,
                }
            )
    return pd.DataFrame(rows)


def log_loss_gain(
    predictions: pd.DataFrame, *, candidate: str, reference: str, draws: int, seed: int
) -> Gain:
    """How much `candidate` betters `reference` on the same rows, by user-clustered bootstrap.

    `predictions` as for `performance`. Pairing takes out what is hard about a row for both.
    """
    better = predictions[predictions["candidate"] == candidate]
    worse = predictions[predictions["candidate"] == reference]
    user = better["user"].to_numpy()
    difference = _losses(worse) - _losses(better)
    sampled = np.concatenate(
        [w @ difference / w.sum(axis=1) for w in row_weights(user, draws=draws, seed=seed)]
    )
    value = float(difference.mean())
    low, high = interval(value, sampled, rarer=rarer_users(better["y"].to_numpy(), user))
    return Gain(candidate, reference, value, float(low), float(high), float(np.std(sampled)))


def roc_auc(
    y: np.ndarray, p: np.ndarray, user: np.ndarray, *, draws: int, seed: int
) -> tuple[float, float, float]:
    """The ROC AUC and its 95 % interval by bootstrap over users; arguments are (rows,)."""
    sampled = np.concatenate(
        [_auc(*_steps(y, p, w)) for w in row_weights(user, draws=draws, seed=seed)]
    )
    value = float(_auc(*_steps(y, p, np.ones((1, len(y)))))[0])
    low, high = interval(value, sampled, rarer=rarer_users(y, user), floor=0.0, ceiling=1.0)
    return value, float(low), float(high)


def best_threshold(y: np.ndarray, p: np.ndarray) -> float:
    """The probability from which flagging a user as a churner gives the best F1."""
    order = np.argsort(-p, kind="stable")
    found = np.cumsum(y[order])
    f1 = 2 * found / (np.arange(1, len(y) + 1) + y.sum())
    last_of_ties = np.append(np.diff(p[order]) != 0, True)
    return float(p[order][np.argmax(np.where(last_of_ties, f1, -1))])


def _metrics(part: pd.DataFrame, weights: np.ndarray, offer: Offer) -> dict[str, np.ndarray]:
    """Each metric under each row of weights (draws, rows)."""
    y, p = part["y"].to_numpy(float), part["p"].to_numpy(float)
    total = weights.sum(axis=1)
    # A draw without a churner has no ranking: its nan is left out of the interval.
    with np.errstate(divide="ignore", invalid="ignore"):
        return {
            "log_loss": weights @ _losses(part) / total,
            "brier": weights @ (y - p) ** 2 / total,
            **_ranking(y, p, weights, offer),
            **_decisions(y, part["flagged"].to_numpy(float), weights),
            "ece": expected_calibration_error(y, p, weights),
        }


def _ranking(
    y: np.ndarray, p: np.ndarray, weights: np.ndarray, offer: Offer
) -> dict[str, np.ndarray]:
    """roc_auc, pr_auc (average precision), top_decile_lift and expected_maximum_profit."""
    rows, hits = _steps(y, p, weights)
    rows_so_far, hits_so_far = rows.cumsum(axis=1), hits.cumsum(axis=1)
    total, positives = rows_so_far[:, -1:], hits_so_far[:, -1:]
    precision = np.where(rows_so_far > 0, hits_so_far / rows_so_far, 0)
    decile = total / 10
    taken = np.clip(decile - (rows_so_far - rows), 0, rows)
    found = np.where(rows > 0, taken * hits / rows, 0).sum(axis=1)
    positives = positives[:, 0]
    return {
        "roc_auc": _auc(rows, hits),
        "pr_auc": (precision * hits).sum(axis=1) / positives,
        "top_decile_lift": found / decile[:, 0] / (positives / total[:, 0]),
        "expected_maximum_profit": sampled_maximum_profit(
            hits_so_far, rows_so_far - hits_so_far, total[:, 0], offer
        ),
    }


def _steps(y: np.ndarray, p: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows and churners of each probability, the highest first: (draws, probabilities)."""
    order = np.argsort(-p, kind="stable")
    starts = np.flatnonzero(np.append(True, np.diff(p[order]) != 0))
    weighted = weights[:, order]
    return (
        np.add.reduceat(weighted, starts, axis=1),
        np.add.reduceat(weighted * y[order], starts, axis=1),
    )


def _auc(rows: np.ndarray, hits: np.ndarray) -> np.ndarray:
    """The ROC AUC from what `_steps` returns; nan without a row of each class."""
    misses = rows - hits
    beaten = misses.sum(axis=1, keepdims=True) - misses.cumsum(axis=1) + misses / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        return (hits * beaten).sum(axis=1) / (hits.sum(axis=1) * misses.sum(axis=1))


def _decisions(y: np.ndarray, flagged: np.ndarray, weights: np.ndarray) -> dict[str, np.ndarray]:
    """f1 (of churn), f1_weighted (of both classes, by size), mcc and balanced_accuracy."""
    tp, fp = weights @ (y * flagged), weights @ ((1 - y) * flagged)
    fn, tn = weights @ (y * (1 - flagged)), weights @ ((1 - y) * (1 - flagged))
    f1 = np.where(tp > 0, 2 * tp / (2 * tp + fp + fn), 0)
    f1_staying = np.where(tn > 0, 2 * tn / (2 * tn + fp + fn), 0)
    size = np.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))
    share = (tp + fn) / weights.sum(axis=1)
    return {
        "f1": f1,
        "f1_weighted": share * f1 + (1 - share) * f1_staying,
        "mcc": np.where(size > 0, (tp * tn - fp * fn) / size, 0),
        "balanced_accuracy": (tp / (tp + fn) + tn / (tn + fp)) / 2,
    }


def _no_skill(y: np.ndarray, p: np.ndarray, ones: np.ndarray, offer: Offer) -> dict[str, float]:
    """What a constant scores: `p` is the base rate of each row's training rows."""
    base = pd.DataFrame({"y": y, "p": p, "flagged": 0.0})
    constant = {name: float(value[0]) for name, value in _metrics(base, ones, offer).items()}
    everyone = _metrics(base.assign(flagged=1.0, p=0.5), ones, offer)
    return {
        **{name: constant[name] for name in ("log_loss", "brier", "ece")},
        "roc_auc": 0.5,
        "pr_auc": float(y.mean()),
        "top_decile_lift": 1.0,
        "expected_maximum_profit": float(everyone["expected_maximum_profit"][0]),
        **{name: max(constant[name], float(everyone[name][0])) for name in ("f1", "f1_weighted")},
        "mcc": 0.0,
        "balanced_accuracy": 0.5,
    }


def _losses(part: pd.DataFrame) -> np.ndarray:
    y, p = part["y"].to_numpy(float), part["p"].to_numpy(float)
    return -np.log(np.where(y > 0, p, 1 - p))
