"""Whether a new model replaces the one in use, and the history of those that were."""

import json
from dataclasses import dataclass

import pandas as pd

from ml import evaluation
from ml.training import TrainingResult

CHAMPION, CHALLENGER = "champion", "challenger"
# As many champions as a tag of MLflow has room for.
KEPT = 50


@dataclass(frozen=True)
class Reign:
    """A change of champion. version: None where the last one retired without a successor.

    at: ISO time, UTC. how: trained, promoted, rolled back or retired.
    """

    version: int | None
    at: str
    how: str


def decide(
    result: TrainingResult,
    *,
    champion: pd.DataFrame | None,
    champion_name: str,
    draws: int,
    seed: int,
) -> tuple[str | None, str]:
    """The alias of a new model, champion or challenger, and why, as a sentence.

    `champion` is the backtest of the model in use: user, time, y, p. Where half of the new backtest
    or more are rows of it, it is replaced only by a model that is better on these, by the 95 %
    interval of the paired difference in log loss. Otherwise it is a model of other data and gives
    way; None means that there is no champion any more.
    """
    skill = result.skill
    gain = f"{skill.value:.4f} ({skill.ci_low:.4f} to {skill.ci_high:.4f}) in log loss"
    shared = None if champion is None else _shared_rows(deployed_backtest(result), champion)
    if skill.value <= 0:
        why = f"It does not beat the base rate: its gain is {gain}."
        if champion is not None and shared is None:
            return (
                None,
                f"{why} The champion, {champion_name}, was tested on other rows and retires.",
            )
        return CHALLENGER, why
    if champion is None:
        return CHAMPION, f"There was no champion, and it beats the base rate by {gain}."
    if shared is None:
        return CHAMPION, (
            f"It replaces {champion_name}, which was tested on other rows, and beats the base rate "
            f"by {gain}."
        )
    paired = evaluation.log_loss_gain(
        shared, candidate="new", reference="old", draws=draws, seed=seed
    )
    margin = f"{paired.value:.4f} ({paired.ci_low:.4f} to {paired.ci_high:.4f}) in log loss"
    if paired.ci_low > 0:
        return CHAMPION, f"It betters {champion_name} on the same backtest by {margin}."
    return CHALLENGER, f"It is not clearly better than {champion_name} on the same rows: {margin}."


def _shared_rows(new: pd.DataFrame, old: pd.DataFrame) -> pd.DataFrame | None:
    """The rows of both backtests, one below the other; None if they are of different data.

    They are where less than half of the new rows are in the old, or one has another outcome: two
    logs may well name their users alike.
    """
    keys = ["user", "time"]
    common = new.merge(old, on=keys, suffixes=("", "_old")).sort_values(keys)
    if len(common) < len(new) / 2 or (common["y"] != common["y_old"]).any():
        return None
    return pd.concat(
        [
            common[[*keys, "y", "p"]].assign(candidate="new"),
            common[[*keys, "y"]].assign(p=common["p_old"], candidate="old"),
        ],
        ignore_index=True,
    )


def deployed_backtest(result: TrainingResult) -> pd.DataFrame:
    """What the deployed candidate predicted; keys as text, as files do not keep every type."""
    rows = result.backtest[result.backtest["candidate"] == result.candidate]
    rows = rows[["user", "time", "origin", "y", "p"]]
    return rows.astype({"user": str, "time": str}).reset_index(drop=True)


def read_history(text: str | None) -> list[Reign]:
    """The changes of champion, the oldest first, from the registry's tag."""
    return [Reign(**entry) for entry in json.loads(text or "[]")]


def write_history(history: list[Reign]) -> str:
    """The registry's tag: the last `KEPT` changes."""
    return json.dumps([vars(reign) for reign in history[-KEPT:]])


def previous(history: list[Reign]) -> int | None:
    """The version to roll back to: the champion before the present one, or None.

    A version that was rolled back is skipped, so that rolling back twice goes two steps back.
    """
    reigns: list[int] = []
    for reign in history:
        if reign.how == "rolled back" and reigns:
            reigns.pop()
        elif reign.version is not None and reign.version not in reigns[-1:]:
            reigns.append(reign.version)
    if history and history[-1].version is None:
        return reigns[-1] if reigns else None
    return reigns[-2] if len(reigns) > 1 else None
