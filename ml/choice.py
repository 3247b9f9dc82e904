"""Which candidate to deploy: the simplest that is as good as the best."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from ml import evaluation
from ml.stacking import AVERAGE, STACK


@dataclass(frozen=True)
class Choice:
    """The candidate chosen, the best single learner, and what the choice rests on.

    table: candidate, log_loss, gain (of the best candidate over this one) and its standard_error,
    is_within (gain within one standard error), is_chosen; the simplest first.
    """

    candidate: str
    best_single: str
    table: pd.DataFrame


def choose(
    backtest: pd.DataFrame, metrics: pd.DataFrame, learners: Sequence[str], *, draws: int, seed: int
) -> Choice:
    """The simplest candidate within one error of the best: `learners` in order, average, stack.

    `backtest` and `metrics` as in a TrainingResult. On few churners chance orders the candidates,
    and the simplest is chosen; on many the best is. A candidate is within if the best betters its
    log loss by no more than the standard error of that difference, paired by row and clustered
    by user.
    Source: Breiman et al. (1984), the one-standard-error rule.
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
            "standard_error": [gain.standard_error for gain in gains],
        }
    )
    table["is_within"] = table["gain"] <= table["standard_error"]
    chosen = table.loc[table["is_within"].idxmax(), "candidate"]
    return Choice(chosen, single, table.assign(is_chosen=table["candidate"] == chosen))
