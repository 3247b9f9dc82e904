"""Whether a new model replaces the one in use, and the history of those that were."""

import datetime as dt
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import entr

from ml import evaluation
from ml.bootstrap import rarer_users
from ml.evaluation import Gain
from ml.training import TrainingResult

CHAMPION, CHALLENGER = "champion", "challenger"
# How a version came into use: by a training, by hand, or as the tables mean again what it does.
TRAINED, PROMOTED, ROLLED_BACK, FITS_AGAIN = "trained", "promoted", "rolled back", "fits again"
KEYS = ["user", "time"]
# As many champions as a tag of MLflow has room for.
KEPT = 50
# The recipe in use on newer data is held back only if it is worse by more than this share of the
# entropy of the labels, what the base rate loses a row: about a tenth of what a model of churn
# gains, whether many churn or few.
MARGIN = 0.01
# Another recipe is looked at anew every week, so that 95 % would err too often in all: its gain has
# to be so many standard errors as well, which in simulated worlds without a difference held false
# promotions below 5 % over three weeks, and near 5 % over six.
STANDARD_ERRORS = 2.24
# Half of a 95 % interval, in standard errors.
Z_95 = 1.96
# Two tables are of the same users if at least this share of the rows that churned in one of them
# churned in both. A late event changes a label or two; two logs that name users alike share few.
# Of so few churners one such label would be a large share.
SAME_CHURNERS, ENOUGH_CHURNERS = 0.5, 5
# And if at least this share of rows is of users whom both know: users come and go, and by chance
# two logs may name a few alike.
SAME_USERS = 0.05


@dataclass(frozen=True)
class Reign:
    """A change of champion. at: ISO time, UTC. how: `TRAINED` or one of the three after it.

    version: None in older histories, in which a champion could retire without a successor.
    """

    version: int | None
    at: str
    how: str


@dataclass(frozen=True, kw_only=True)
class Champion:
    """The model in use, as a new one meets it.

    version: its number. backtest: user, time, y, p, and row, a hash of the features that it read,
    what it said of rows that it had not learned from; older ones have no hash. recipe: see
    `recipe_of`. learned_until: the last as-of date that it learned from, None without dates, and
    horizon_days the days after it that a label looks at.
    in_place_of: the version that it, or an earlier one of its recipe, took over from only because
    the table lacked columns. predict: what its pipeline says of rows, given as user and time, in
    their order; nan of a row that the table lacks. hashes: of what it reads of these rows now, in
    the same way. misfit: why it cannot score the present table, as a sentence, or None;
    lacks_columns: a table of one's own means what it does, and lacks what it reads.
    is_of_other_code: other code has made the features since it learned from them.
    """

    version: int
    backtest: pd.DataFrame
    recipe: str
    learned_until: dt.date | None
    horizon_days: int | None
    predict: Callable[[pd.DataFrame], np.ndarray]
    hashes: Callable[[pd.DataFrame], np.ndarray] | None = None
    misfit: str | None = None
    lacks_columns: bool = False
    is_of_other_code: bool = False
    in_place_of: int | None = None

    @property
    def name(self) -> str:
        """What sentences call it."""
        return f"version {self.version}"


def decide(
    result: TrainingResult,
    *,
    recipe: str,
    champion: Champion | None,
    draws: int,
    seed: int,
    rejected: Sequence[Champion] = (),
) -> tuple[str, str]:
    """The alias of a new model, champion or challenger, and why, as a sentence.

    The two are compared on `shared_rows`, by the 95 % interval of the paired difference in log
    loss, resampling users. The recipe in use on newer data takes over, and so does it on features
    that other code makes, unless it is clearly worse
    (all of the interval below what `MARGIN` allows); anything else only if it is better (all of it
    above 0, and the gain more than `STANDARD_ERRORS`).
    Without a row to compare on, or with rows of one class only, the recipe in use takes over with
    newer data, and another one waits: where nobody churned, whoever expects the least is the best.
    A champion that does not fit the present table is no rival; where only columns of a table of
    one's own are missing, as in an export that went wrong, it stays if the new one is clearly worse
    than it was on the rows of its own backtest. Whoever does not beat the base rate is a
    challenger; whoever takes over with an interval that is not above 0 is unproven.
    rejected: the versions that were taken out of use by hand for this champion. What is one of them
    over again, the same recipe on data that it knew, does not come back by itself.
    """
    skill, new = result.skill, deployed_backtest(result)
    if skill.value <= 0:
        return CHALLENGER, f"It does not beat the base rate: its gain is {_shown(skill)}."
    if champion is None:
        return CHAMPION, f"There was no champion. {_proof(skill)}"
    if champion.misfit:
        kept = _kept_rows(new, champion) if champion.lacks_columns else None
        if kept is not None and rarer_users(kept["y"].to_numpy(), kept["user"].to_numpy()):
            paired = _paired(kept, draws=draws, seed=seed)
            if is_clearly_worse(paired, kept):
                return CHALLENGER, (
                    f"It is clearly worse than {champion.name} was on the same {len(kept):,} rows: "
                    f"{_shown(paired)}. {champion.misfit} Mend the table, or promote this one by "
                    "hand."
                )
        return CHAMPION, f"It replaces {champion.name}. {champion.misfit} {_proof(skill)}"
    for each in rejected:
        is_other = each.is_of_other_code or is_other_data(new, each)
        is_news = is_other or _is_newer(result, new, each)
        if recipe == each.recipe and not is_news:
            return CHALLENGER, (
                f"It is {each.name} over again, of the same recipe and data, in place of which "
                f"{champion.name} was chosen by hand."
            )
    shared = shared_rows(new, champion)
    other = is_other_data(new, champion)
    is_newer = not other and _is_newer(result, new, champion)
    is_update = recipe == champion.recipe and (other or is_newer or champion.is_of_other_code)
    data = "other data" if other else "newer data" if is_newer else "features of other code"
    updated = f"It is the recipe of {champion.name} on {data}, and"
    if not rarer_users(shared["y"].to_numpy(), shared["user"].to_numpy()):
        lacking = _lacking(shared)
        if is_update:
            return CHAMPION, f"{updated} {lacking}. {_proof(skill)}"
        return CHALLENGER, f"It is not compared with {champion.name}, which stays: {lacking}."
    paired = _paired(shared, draws=draws, seed=seed)
    on = f"the same {len(shared):,} rows: {_shown(paired)}"
    if paired.ci_low > 0 and paired.value > STANDARD_ERRORS * paired.standard_error:
        return CHAMPION, f"It is better than {champion.name} on {on}. {_proof(skill)}"
    if not is_update:
        # Such an interval looks like enough.
        why = (
            f" As it is looked at with every training anew, that has to be {STANDARD_ERRORS} "
            "standard errors."
            if paired.ci_low > 0
            else ""
        )
        return CHALLENGER, f"It is not clearly better than {champion.name} on {on}.{why}"
    if is_clearly_worse(paired, shared):
        return CHALLENGER, f"It is clearly worse than {champion.name}, of the same recipe, on {on}."
    return CHAMPION, f"{updated} not clearly worse on {on}. {_proof(skill)}"


def shared_rows(new: pd.DataFrame, champion: Champion) -> pd.DataFrame:
    """The rows of the new backtest on which the champion can be judged: user, time, y, p, old.

    `y` is today's label for both. Of a row that the champion's backtest predicted, `old` is what it
    said there, if the row still says what it said then. Of another one it is what its pipeline
    says, if that cannot have learned the
    outcome: the row is as of a day on which all its labels were closed (its last as-of date plus
    the horizon, for the labels of rows between look at the same days), or, without dates, of a user
    whom it never saw. Any row of another data set will do: see `is_other_data`.
    """
    rows = _beside(new, champion)
    if is_other_data(new, champion):
        rows["old"], is_fair = np.nan, pd.Series(True, rows.index)
    elif champion.learned_until is None:
        rows["old"] = rows["old"].where(_is_same(rows, champion))
        is_fair = ~rows["user"].isin(champion.backtest["user"])
    else:
        rows["old"] = rows["old"].where(_is_same(rows, champion))
        closed = champion.learned_until + dt.timedelta(days=champion.horizon_days)
        is_fair = rows["time"] >= pd.Timestamp(closed)
    asked = rows["old"].isna() & is_fair
    if asked.any():
        rows.loc[asked, "old"] = champion.predict(rows.loc[asked, KEYS])
    return rows.drop(columns=["y_old", "row_old"]).dropna(subset="old").reset_index(drop=True)


def is_clearly_worse(paired: Gain, shared: pd.DataFrame) -> bool:
    """Whether all of the interval of a gain on these rows lies below what `MARGIN` allows."""
    rate = shared["y"].mean()
    return paired.ci_high < -MARGIN * float(entr(rate) + entr(1 - rate))


def is_other_data(new: pd.DataFrame, champion: Champion) -> bool:
    """Whether a backtest is of other data than the champion's: hardly a user, or other churners.

    Such as the log of one's own after a simulated one, whose dates need not be the later ones.
    """
    rows = _beside(new, champion)
    met = rows[rows["old"].notna()]
    churned = met["y"] + met["y_old"]
    # Of no rows at all the share is NaN, which is not enough either.
    has_same_users = rows["user"].isin(champion.backtest["user"]).mean() >= SAME_USERS
    both, either = (churned == 2).sum(), (churned > 0).sum()
    has_others = either >= ENOUGH_CHURNERS and both < SAME_CHURNERS * either
    return bool(not has_same_users or has_others)


def recipe_of(card: Mapping[str, Any]) -> str:
    """How a model was made of its data, as text: equal for the same recipe on other data.

    Its columns are those offered: which of them say nothing yet is a matter of the data, as are the
    candidate and its tuned points, which are chosen anew each time. Not part of it: seed, origins,
    and what is measured but not learned from.
    """
    options = card["options"]
    made = {
        "columns": card.get("offered") or sorted(each["name"] for each in card["features"]),
        "core": card["spec"].get("core"),
        "grids": card["grids"],
        "options": {name: options.get(name) for name in ("folds", "stable_only")},
        # In whatever order they were given.
        "models": sorted(options["models"]),
        # A row a user and date, or a row a user.
        "has_dates": bool(card["spec"].get("time")),
        "exposure": [card["spec"].get(name) for name in ("exposure", "min_exposure")],
    }
    return json.dumps(made, sort_keys=True)


def learned_until(card: Mapping[str, Any]) -> dt.date | None:
    """The last as-of date that a model learned from; None of a table without dates.

    Older cards do not have it, but the last origin, which is that date.
    """
    try:
        return dt.date.fromisoformat(card.get("learned_until") or max(card["origins"]))
    except ValueError:
        return None


def is_proven(skill: Gain) -> bool:
    """Whether the gain over the base rate is more than chance, by its 95 % interval."""
    return skill.ci_low > 0


def deployed_backtest(result: TrainingResult) -> pd.DataFrame:
    """What the deployed candidate predicted; keys as text, as files do not keep every type."""
    rows = result.backtest[result.backtest["candidate"] == result.candidate]
    rows = rows[[*KEYS, "origin", "y", "p", "row"]]
    return rows.astype(dict.fromkeys(KEYS, str)).reset_index(drop=True)


def users_to_prove(skill: Gain) -> float | None:
    """How many times as many users make the interval of a gain of this size end above 0.

    For its width goes with the root of their number. None where more would not help.
    """
    if skill.value <= 0 or is_proven(skill):
        return None
    return max(1.1, (Z_95 * skill.standard_error / skill.value) ** 2)


def read_history(text: str | None) -> list[Reign]:
    """The changes of champion, the oldest first, from the registry's tag."""
    return [Reign(**entry) for entry in json.loads(text or "[]")]


def write_history(history: list[Reign]) -> str:
    """The registry's tag: the last `KEPT` changes."""
    return json.dumps([vars(reign) for reign in history[-KEPT:]])


def previous(history: list[Reign], known: Collection[int]) -> int | None:
    """The version to roll back to: the champion before the present one, or None.

    A version that was rolled back is skipped, so that rolling back twice goes two steps back; so is
    one that is not `known` any more, for somebody deleted it.
    """
    reigns: list[int] = []
    for reign in history:
        if reign.how == ROLLED_BACK and reigns:
            reigns.pop()
            while reign.version in reigns and reigns[-1] != reign.version:
                reigns.pop()
        # After a roll back it is there already, unless it is older than what is kept.
        if reign.version is not None and reign.version not in reigns[-1:]:
            reigns.append(reign.version)
    earlier = [version for version in reigns if version in known]
    if history and history[-1].version in known:
        earlier = earlier[:-1]
    return earlier[-1] if earlier else None


def rejected(history: Sequence[Reign]) -> list[int]:
    """The versions that were taken out of use by hand for the present champion, if it was so."""
    chosen = [reign for reign in history if reign.how != FITS_AGAIN]
    if not chosen or chosen[-1].how == TRAINED:
        return []
    start = next((i + 1 for i in reversed(range(len(chosen))) if chosen[i].how == TRAINED), 1)
    # The one before the first choice by hand was in use too.
    found = dict.fromkeys(each.version for each in chosen[max(0, start - 1) :])
    return [each for each in found if each not in (None, chosen[-1].version)]


def _is_newer(result: TrainingResult, new: pd.DataFrame, champion: Champion) -> bool:
    """Whether there is something that the champion did not learn from: a date, a row, a label."""
    if result.learned_until and champion.learned_until:
        if result.learned_until != champion.learned_until:
            return result.learned_until > champion.learned_until
        rows = _beside(new, champion)
        met = rows[rows["time"].isin(_dated(champion.backtest)["time"])]
        return bool((met["y"] != met["y_old"]).any())
    known = set(zip(champion.backtest["user"], champion.backtest["y"], strict=True))
    return not set(zip(new["user"], new["y"], strict=True)) <= known


def _beside(new: pd.DataFrame, champion: Champion) -> pd.DataFrame:
    """The rows of `new`, and what the champion's backtest has of them, or nan: y_old, old, row_old.

    row_old is missing in older backtests too.
    """
    told = _dated(champion.backtest).reindex(columns=[*KEYS, "y", "p", "row"])
    told = told.rename(columns={"p": "old", "row": "row_old"})
    # A hash has more digits than a float, which a column with gaps would be.
    told["row_old"] = told["row_old"].astype("Int64")
    return _dated(new)[[*KEYS, "y", "p"]].merge(told, on=KEYS, how="left", suffixes=("", "_old"))


def _is_same(rows: pd.DataFrame, champion: Champion) -> pd.Series:
    """Which rows say what they said when the champion predicted them, as far as is known."""
    told = rows["row_old"].notna()
    is_same = pd.Series(True, rows.index)
    if champion.hashes and told.any():
        found = pd.Series(champion.hashes(rows.loc[told, KEYS]), rows.index[told], dtype="Int64")
        is_same.loc[told] = (found == rows.loc[told, "row_old"]).fillna(False).to_numpy(bool)
    return is_same


def _dated(rows: pd.DataFrame) -> pd.DataFrame:
    """`rows` with time as a timestamp: NaT without dates."""
    times = pd.to_datetime(rows["time"].replace("None", None), format="ISO8601")
    return rows.assign(time=times.astype("datetime64[ns]"))


def _kept_rows(new: pd.DataFrame, champion: Champion) -> pd.DataFrame:
    """The rows of both backtests, as `shared_rows` has them, of a champion that cannot predict."""

    def nothing(keys: pd.DataFrame) -> np.ndarray:
        return np.full(len(keys), np.nan)

    return shared_rows(new, replace(champion, predict=nothing, hashes=None))


def _paired(shared: pd.DataFrame, *, draws: int, seed: int) -> Gain:
    """What the new model gains over the old one on `shared` rows, in nats a row."""
    return evaluation.log_loss_gain(
        _below_each_other(shared), candidate="new", reference="old", draws=draws, seed=seed
    )


def _below_each_other(shared: pd.DataFrame) -> pd.DataFrame:
    """`shared` as predictions of two candidates, new and old."""
    rows = shared.sort_values(KEYS, ignore_index=True)
    parts = [rows.assign(candidate="new"), rows.assign(candidate="old", p=rows["old"])]
    return pd.concat(parts, ignore_index=True)


def _lacking(shared: pd.DataFrame) -> str:
    """Why nothing can be said of the two."""
    if shared.empty:
        return "there is no row yet to compare the two on"
    who = "everybody" if shared["y"].any() else "nobody"
    rows = f"{len(shared):,} rows" if len(shared) > 1 else "one row"
    return f"{who} churned in the {rows} to compare the two on"


def _proof(skill: Gain) -> str:
    if is_proven(skill):
        return f"It beats the base rate by {_shown(skill)}."
    said = (
        "It is unproven: the 95 % interval of its gain over the base rate is not above 0, "
        f"{_shown(skill)}."
    )
    more = users_to_prove(skill)
    return (
        f"{said} If it is real, about {more:{'.1f' if more < 10 else ',.0f'}} times as many users "
        "will show it."
        if more
        else said
    )


def _shown(gain: Gain) -> str:
    # Where few churn there is little to gain.
    said = (gain.value, gain.ci_low, gain.ci_high)
    digits = 6 if any(0 < abs(each) < 5e-4 for each in said) else 4
    value, low, high = (f"{x:.{digits}f}" for x in said)
    return f"{value} ({low} to {high}) in log loss"
