"""The pictures that only the notebook shows, each with a title that says what it shows."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict

import numpy as np
import pandas as pd
from scipy.stats import entropy

from charts import models, users
from ml.calibration import design_effect, equal_bins, wilson
from ml.evaluation import log_loss_gain
from ml.explaining import NO_ACTION, NO_MORE, NO_SINGLE
from ml.stacking import BASE_RATE, STACK
from sparkify.features import axis_of, label_of
from sparkify.report import words
from sparkify.report.data import DRAWS
from sparkify.report.figures import Figure, Missing
from sparkify.report.words import called, noun, percent, plural

# Pages, and first reasons, beyond so many are rare.
SHOWN = 12
FIFTHS = 5
SONG = "NextSong"


def pages(table: pd.DataFrame) -> Figure | Missing:
    """What users do besides listening; table: page, event_count, the most frequent first."""
    others = table[table["page"] != SONG]
    if others.empty:
        return Missing("The log holds nothing but songs.")
    count = others["event_count"]
    share = 1 - count.sum() / table["event_count"].sum()
    first = f"“{others['page'].iloc[0]}”"
    most = f"most are on {first}" if 2 * count.iloc[0] > count.sum() else f"{first} has the most"
    return Figure(
        key="pages",
        title=f"{percent(share)} of the events are songs; of the others {most}",
        note=f"Events by page without {SONG}"
        + (f", the {SHOWN} most frequent of {len(others)} pages." if len(others) > SHOWN else "."),
        chart=users.counts(others.head(SHOWN), name="page", value="event_count", title="events"),
        size="wide",
    )


def mondays(table: pd.DataFrame, *, horizon_days: int) -> Figure | Missing:
    """Who leaves within the horizon of a date; table: as_of_date, users, churned (null: open)."""
    known = table.dropna(subset=["churned"])
    if known.empty:
        return Missing("No date has a known outcome yet: the log is too short.")
    churned, at_risk = known["churned"].astype(float), known["users"].astype(float)
    low, high = wilson(churned / at_risk, at_risk)
    shown = known.assign(
        week_start=pd.to_datetime(known["as_of_date"]), rate=churned / at_risk, low=low, high=high
    )
    waiting = len(table) - len(known)
    return Figure(
        key="mondays",
        title=f"Of the users active on a date {percent(churned.sum() / at_risk.sum())} leave "
        f"within {plural(horizon_days, 'day')}: {percent(shown['rate'].min())} to "
        f"{percent(shown['rate'].max())}",
        note=f"Share who leave after each of {plural(len(known), 'date')}, with 95 % intervals. "
        f"Of {plural(waiting, 'more date')} the outcome is not known yet: it stays null, and is "
        "never taken for staying.",
        chart=users.mondays(
            shown.drop(columns=["as_of_date"]).astype({"churned": float}),
            horizon_days=horizon_days,
        ),
        size="wide",
    )


def fifths(
    history: pd.DataFrame, features: Sequence[str], *, label: str, horizon_days: int
) -> Iterator[Figure | Missing]:
    """How the share who leave depends on features; history: user_id, label, and the features.

    Intervals are Wilson's, on rows divided by the design effect: a user's rows are no independent
    ones.
    """
    if not len(features):
        yield Missing("No signal to look at closer: nothing could be compared.")
    for index, name in enumerate(features):
        table = rates_by_value(history, name, label=label)
        first, last = table.iloc[0], table.iloc[-1]
        overlap = max(first["low"], last["low"]) <= min(first["high"], last["high"])
        yield Figure(
            key=f"fifths{index}",
            title=f"“{label_of(name).capitalize()}”: {percent(first['rate'])} leave where it is "
            f"lowest, {percent(last['rate'])} where it is highest"
            + (" (the intervals overlap)" if overlap else ""),
            note="Share who leave in each fifth of the rows by the value, at the fifth's mean, "
            "with 95 % intervals that count users, not rows.",
            chart=users.by_value(table, name=axis_of(name), horizon_days=horizon_days),
            size="third",
        )


def rates_by_value(history: pd.DataFrame, name: str, *, label: str) -> pd.DataFrame:
    """A row a fifth of the values: value (its mean), rate, low, high, users, churned."""
    rows = history[["user_id", name, label]].dropna()
    rows = pd.DataFrame(
        {
            "user": rows["user_id"],
            "value": rows[name].astype(float),
            "y": rows[label].astype(float),
        }
    )
    rows["bin"] = equal_bins(rows["value"].to_numpy(), bins=FIFTHS)
    table = rows.groupby("bin").agg(
        value=("value", "mean"),
        rate=("y", "mean"),
        rows=("y", "size"),
        users=("user", "nunique"),
        churned=("y", "sum"),
    )
    residual = (rows["y"] - rows["bin"].map(table["rate"])).to_numpy()
    effect = 1.0
    if residual.any():
        effect = design_effect(rows["bin"].to_numpy(), rows["user"].to_numpy(), residual)
    low, high = wilson(table["rate"], table["rows"] / effect)
    return table.assign(low=low, high=high).reset_index(drop=True)


def tuning(
    table: pd.DataFrame, history: pd.DataFrame, *, label: str, horizon_days: int
) -> Figure | Missing:
    """What the settings tried are worth, as `sparkify.report.data.tuning_of` gives them.

    history: as_of_date and the label of all rows, from which the loss without skill follows.
    """
    # The grid is tried once, on what the first test date could learn from.
    tried = table[table["split"] == table["split"].min()] if len(table) else table
    if tried.empty:
        return Missing("Nothing was tuned: there is no model.")
    until = pd.to_datetime(tried["split"].iloc[0], errors="coerce")
    dates = pd.to_datetime(history["as_of_date"]) + pd.Timedelta(days=horizon_days)
    learned = history if pd.isna(until) else history[dates <= until]
    rate = float(learned[label].astype(float).mean())
    found = (
        tried.groupby(["learner", "point"], sort=False)
        .agg(
            value=("log_loss", "mean"),
            ci_low=("log_loss", "min"),
            ci_high=("log_loss", "max"),
            is_deployed=("chosen", "any"),
        )
        .reset_index()
        .sort_values("value")
    )
    found["candidate"] = [
        f"{called(learner)}, {words.point(point)}"
        for learner, point in zip(found["learner"], found["point"], strict=True)
    ]
    folds, means = (found["ci_high"] - found["ci_low"]).mean(), np.ptp(found["value"])
    return Figure(
        key="tuning",
        title=f"The {plural(len(found), 'setting')} tried {noun(len(found), 'lies', 'lie')} "
        f"{means:.3f} apart in log loss, and the folds of one setting {folds:.3f}"
        + (": most of what separates them is chance" if folds > means else ""),
        note="Log loss by cross-validation, whole users to a fold: the mean of the folds, and the "
        "least and greatest of them. Left is better; orange: chosen for its learner; dashed: "
        "predicting the average rate.",
        chart=models.candidates(
            found,
            no_skill=float(entropy([rate, 1 - rate])),
            title="log loss (lower is better)",
            letters=34,
        ),
        size="wide",
    )


def weights(table: pd.DataFrame) -> Figure | Missing:
    """How much the stack listens to each learner; table: model, share (0 to 1)."""
    shares = table.dropna(subset=["share"]).sort_values("share", ascending=False)
    if len(shares) < 2:
        return Missing("There is no stack: it needs a model, and more than one learner.")
    shares = shares.assign(model=shares["model"].map(called))
    ignored = shares.loc[shares["share"] < 0.005, "model"].tolist()
    return Figure(
        key="weights",
        title=f"The stack listens most to the {shares['model'].iloc[0]}, with "
        f"{percent(shares['share'].iloc[0])} of the weight"
        + (f"; not at all to the {' and the '.join(ignored)}" if ignored else ""),
        note="Weights of the logistic regression over the learners' log-odds, none below zero, as "
        "shares of their sum.",
        chart=users.counts(
            shares, name="model", value="share", title="share of the weight", form=".0%"
        ),
    )


def stack_gain(backtest: pd.DataFrame) -> Figure | Missing:
    """What the stack gains on the others; rows as `ml.evaluation.log_loss_gain` takes them."""
    names = backtest["candidate"].unique()
    others = [name for name in names if name not in (BASE_RATE, STACK)]
    if STACK not in names or len(others) < 3:
        return Missing("There is no stack to compare: it needs a model, and more than one learner.")
    gains = [
        log_loss_gain(backtest, candidate=STACK, reference=name, draws=DRAWS, seed=0)
        for name in others
    ]
    table = pd.DataFrame(map(asdict, gains)).sort_values("value", ascending=False)
    clear, worse = int((table["ci_low"] > 0).sum()), int((table["ci_high"] < 0).sum())
    table["candidate"] = table["reference"].map(called)
    return Figure(
        key="stackgain",
        title=f"On the test dates the stack is better beyond chance than {clear} of "
        f"{len(table)} others" + (f", and worse than {worse}" if worse else ""),
        note="Log loss of the other minus that of the stack, on the same predictions, with its "
        "95 % interval by bootstrap over users. Right of the dashed line the stack is better.",
        chart=models.candidates(
            table.assign(is_deployed=False),
            no_skill=0.0,
            title="gain in log loss over …",
            letters=34,
        ),
        size="wide",
    )


def reasons(scores: pd.DataFrame) -> Figure | Missing:
    """What raises the risk of the riskiest fifth most often; scores: probability, reason_1."""
    riskiest = scores.nlargest(max(1, len(scores) // FIFTHS), "probability")
    said = riskiest["reason_1"].dropna()
    is_none = said.isin([NO_MORE, NO_SINGLE]) | said.str.startswith(NO_ACTION)
    without = int(is_none.sum())
    said = said[~is_none].str.split(";").str[0]
    # A reason names the user's own value; what several users share is the rest of the sentence.
    said = said.str.replace(r"\d[\d.,]*", "…", n=1, regex=True).value_counts()
    if said.empty:
        return Missing(
            "No reason is given of the riskiest users."
            if without
            else "Nobody is scored, so there are no reasons."
        )
    table = said.rename_axis("reason").reset_index(name="user_count")
    return Figure(
        key="reasons",
        title=f"The first reason most often given is “{table['reason'].iloc[0]}”: "
        f"{table['user_count'].iloc[0]} of the {plural(len(riskiest), 'riskiest user')}",
        note="First reason of the riskiest fifth of the active users; … is the user's own value."
        + (f" Of {plural(without, 'user')} there is none." if without else ""),
        chart=users.counts(table.head(SHOWN), name="reason", value="user_count", title="users"),
        size="wide",
    )
