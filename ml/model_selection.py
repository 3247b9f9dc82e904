"""Which candidate to deploy: the simplest that the best one betters by no more than chance."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from ml import evaluation
from ml.stacking import AVERAGE, STACK


@dataclass(frozen=True)
class Choice:
    """The candidate chosen, the best single learner, and what the choice rests on.

    table: candidate, log_loss, gain (of the best candidate over this one) with ci_low and ci_high,
    is_within (chance may be all of the gain), is_chosen; the simplest first.
    """

    candidate: str
    best_single: str
    table: pd.DataFrame


def choose(
    backtest: pd.DataFrame, metrics: pd.DataFrame, learners: Sequence[str], *, draws: int, seed: int
) -> Choice:
    """The simplest candidate within chance of the best: `learners` in order, average, stack.

    `backtest` and `metrics` as in a TrainingResult. On few churners chance orders the candidates,
    and the simplest is chosen; on many the best is. A candidate is within if the 95 % interval of
    what the best gains on it in log loss, paired by row and clustered by user, reaches 0. The rule
    of one standard error (Breiman et al., 1984) lets the best of many candidates through too often,
    as it is the best by chance.
    """
    losses = metrics[metrics["metric"] == "log_loss"].set_index("candidate")["value"]
    single = losses[list(learners)].idxmin()
    # Of one learner, average and stack are that learner again.
    order = [*learners, AVERAGE, STACK] if len(learners) > 1 else [single]
    best = losses[order].idxmin()
    gains = [
        evaluation.log_loss_gain(backtest, candidate=best, reference=name, draws=draws, seed=seed)
        for name in order
    ]
    table = pd.DataFrame(
        {
            "candidate": order,
            "log_loss": losses[order].to_numpy(),
            "gain": [gain.value for gain in gains],
            "ci_low": [gain.ci_low for gain in gains],
            "ci_high": [gain.ci_high for gain in gains],
        }
    )
    table["is_within"] = table["ci_low"] <= 0
    chosen = table.loc[table["is_within"].idxmax(), "candidate"]
    return Choice(chosen, single, table.assign(is_chosen=table["candidate"] == chosen))
