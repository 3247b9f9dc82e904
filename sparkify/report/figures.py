"""The pictures of the page, each with a title that says what it shows: pure functions."""

from collections.abc import Iterator
from dataclasses import dataclass

import altair as alt
import numpy as np
import pandas as pd

from charts import models, users
from ml.calibration import wilson
from sparkify.features import axis_of
from sparkify.report.data import SHOWN, Model, ReportData, signal_of
from sparkify.report.words import (
    METRICS,
    PROTOCOLS,
    called,
    day,
    listed,
    money,
    noun,
    number,
    percent,
    plural,
    two_digits,
)

# Weeks of which so many days lie inside the data are compared, and cohorts followed for so many.
WHOLE_WEEK = 7
# A share of fewer users is told as their number.
FEW = 20


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A picture: `key` names it on the page; title says the finding, note how to read it.

    size: wide takes the whole width, half and third a part of it on a wide screen.
    """

    key: str
    title: str
    chart: alt.TopLevelMixin
    note: str = ""
    size: str = "half"


@dataclass(frozen=True)
class Missing:
    """What cannot be shown, and why."""

    reason: str


NO_MODEL = Missing("There is no model to judge.")
DRIFT_SHOWN = 10


def of_who(data: ReportData) -> Iterator[Figure | Missing]:
    """How risk and the expected profit are spread over the active users."""
    targets, about = data.targets, data.about
    if targets.empty:
        yield Missing(f"Nobody is scored. {data.no_scores}")
        return
    yield risk(targets["probability"], horizon_days=about.horizon_days)
    yield contact_value(targets, currency=about.offer.currency)


def risk(p: pd.Series, *, horizon_days: int) -> Figure | Missing:
    """How the probabilities of the active users are spread."""
    if len(p) < 2:
        who = "With one active user" if len(p) else "With nobody scored"
        return Missing(f"{who} there is no distribution of risk to show.")
    top = max(1, len(p) // 10)
    share = p.sort_values(ascending=False).head(top).sum() / p.sum()
    who = "riskiest tenth of users" if len(p) >= 10 else f"riskiest of {plural(len(p), 'user')}"
    return Figure(
        key="risk",
        title=f"The {who} carries {percent(share)} of the expected losses",
        note=f"Probability of leaving within {plural(horizon_days, 'day')}, "
        f"{plural(len(p), 'active user')}.",
        chart=users.risk(p, horizon_days=horizon_days),
    )


def contact_value(targets: pd.DataFrame, *, currency: str) -> Figure | Missing:
    """What contacting so many is expected to bring; targets: fct_retention_targets, by priority."""
    total = targets["expected_value"].cumsum()
    worth = int(targets["is_worth_contacting"].sum())
    if not worth:
        return Missing(
            "Contacting anybody is expected to cost more than it brings, under the assumptions "
            "made."
            if len(targets)
            else "Nobody is scored, so there is nobody to contact."
        )
    # Some way beyond the best number, so that the curve is seen to fall.
    last = min(len(total), max(10, 3 * worth))
    shown = pd.DataFrame({"contacted": np.arange(last + 1), "total": [0, *total.head(last)]})
    return Figure(
        key="value",
        title=f"Contacting the first {'user' if worth == 1 else plural(worth, 'user')} is expected "
        f"to bring {money(total.iloc[worth - 1], currency)}",
        note="After that each further contact is expected to cost more than it brings."
        if worth < len(total)
        else "Each contact is expected to bring more than it costs.",
        chart=users.contact_value(_thinned(shown, keep=worth), currency=currency),
    )


def of_why(data: ReportData) -> Iterator[Figure | Missing]:
    """How users who leave differ beforehand."""
    yield differences(data.differences, horizon_days=data.about.horizon_days)
    yield from run_up(data.run_up)


def differences(found: pd.DataFrame, *, horizon_days: int) -> Figure | Missing:
    """The signals that differ most; found: as `sparkify.report.data.differences_of` gives it."""
    if found.empty:
        return Missing(
            "No comparison: it needs five users who left, and five who stayed, with a known "
            "outcome."
        )
    signals = told_apart(found)
    top = signals.head(SHOWN)
    first, count = top.iloc[0], int(found["is_telling"].sum())
    leaves, stays = int(first["leave_count"]), int(first["stay_count"])
    # Of what is known of some users only.
    known = leaves == found["leave_count"].max() and stays == found["stay_count"].max()
    if count:
        side = "higher" if first["value"] > 0.5 else "lower"
        pairs = max(first["value"], 1 - first["value"])
        title = (
            f"“{first['label'].capitalize()}” is {side} before users leave than among those who "
            f"stay, in {number(100 * pairs)} of 100 pairs"
        )
    else:
        title = "No single signal tells users who leave from users who stay beyond chance"
    return Figure(
        key="differences",
        title=title,
        note=f"{plural(leaves, 'user')} in the {plural(horizon_days, 'day')} before leaving, "
        f"against {number(stays)} who stayed"
        + ("" if known else ", those of whom the first signal is known")
        + "; each user counts once. A point is the share of "
        "pairs in which the one who leaves has more, with its 95 % interval; half of the pairs is "
        f"no difference. {count} of {plural(len(found), 'signal')} "
        f"{noun(count, 'differs', 'differ')} beyond chance (orange), all of them looked at "
        "together. "
        + (
            f"The {len(top)} that differ most are shown, "
            if len(signals) > len(top)
            else "Shown is "
        )
        + "one window of each. A difference is no cause.",
        chart=users.differences(top),
        size="wide",
    )


def told_apart(found: pd.DataFrame) -> pd.DataFrame:
    """Of differences one row a signal: one window of a signal says what the others say."""
    return found[~found["feature"].map(signal_of).duplicated()]


def run_up(table: pd.DataFrame) -> Iterator[Figure]:
    """Signals in the weeks before users leave; table: as `data.run_up_of` gives it."""
    for index, (label, weeks) in enumerate(table.groupby("label", sort=False)):
        ordered = weeks.sort_values("weeks_before")
        first, last = ordered.iloc[-1], ordered.iloc[0]
        name, stay = label.removesuffix(", 7 days"), last["stays"]
        if len(ordered) < 2:
            continue
        # The mean of one user has no interval, and says nothing of a movement.
        is_apart = first["ci_low"] > last["ci_high"] or last["ci_low"] > first["ci_high"]
        verb = "rises" if last["mean"] > first["mean"] else "falls"
        before, now = two_digits(first["mean"]), two_digits(last["mean"])
        yield Figure(
            key=f"runup{index}",
            title=(
                f"“{name.capitalize()}” {verb} from {before} to {now} before users leave"
                if is_apart
                else f"“{name.capitalize()}” before users leave: {before}, then {now}, which may "
                "be chance"
            )
            + f"; those who stay: {two_digits(stay)}",
            note="Mean of users who leave, with its 95 % interval; dashed: users who stay.",
            chart=users.run_up(weeks, stay, title=axis_of(weeks["feature"].iloc[0])),
            size="third",
        )


def of_when(data: ReportData) -> Iterator[Figure | Missing]:
    """How long users stay, and how the weeks went."""
    yield survival(data.survival)
    yield cohorts(data.cohorts)
    yield from _activity(data)


def survival(curve: pd.DataFrame) -> Figure | Missing:
    """How long users stay; curve: fct_retention_cohorts by level."""
    if curve.empty:
        return Missing(
            "No curve of how long users stay: too few users whose registration is known are at "
            "risk on any day (min_at_risk)."
        )
    groups = dict(list(curve.groupby("cohort")))
    shared = min(part["tenure_days"].max() for part in groups.values())
    upto = {name: part[part["tenure_days"] <= shared] for name, part in groups.items()}
    # A curve may begin after another one has ended.
    at = {name: part.iloc[-1] for name, part in upto.items() if len(part)}
    begins = {name: int(groups[name]["first_day"].min()) for name in at}
    shares = [
        f"{percent(row['survival'])} of those who began {name}"
        + (f" and were still here on day {begins[name]}" if begins[name] > 1 else "")
        for name, row in at.items()
    ]
    said = listed(shares) if max(begins.values()) == 1 else ", and ".join(shares)
    limits = [_limits(row, users=groups[n]["at_risk_count"].max()) for n, row in at.items()]
    lows, highs = zip(*limits, strict=True)
    # Who had stayed for longer is not compared with who had not.
    is_fair = len(at) > 1 and len(set(begins.values())) == 1
    overlap = is_fair and max(lows) <= min(highs)
    return Figure(
        key="survival",
        title=f"{plural(shared, 'day')} after registration {said} are still here"
        + (" (the intervals overlap)" if overlap else ""),
        note="Kaplan-Meier by the first level; a curve begins where enough users are at risk and "
        "is of those who stayed until then: two that begin on different days do not compare."
        + (" The band is the 95 % interval." if curve["ci_low"].notna().any() else ""),
        chart=users.survival(curve),
    )


def _limits(row: pd.Series, *, users: int) -> tuple[float, float]:
    """The 95 % interval of a share; where nobody or everybody left, by the rule of three."""
    if pd.notna(row["ci_low"]):
        return row["ci_low"], row["ci_high"]
    rare = min(1.0, 3 / users)
    return (1 - rare, 1.0) if row["survival"] > 0 else (0.0, rare)


def cohorts(table: pd.DataFrame) -> Figure | Missing:
    """What each week of registration loses in 30 days at risk; table: `ReportData.cohorts`."""
    # The first day and the last are both of those on which users could leave.
    observed = table["last_day"] - table["first_day"] + 1
    table = table[observed >= WHOLE_WEEK]
    if len(table) < 2:
        return Missing(
            "No comparison of cohorts: fewer than two weeks of registration are known, large "
            "enough, and followed for a week."
        )
    days = 30 / observed[table.index]
    # Without a loss, or with nobody left, a cohort has no interval: the rule of three gives one.
    rare = (3 / table["users"]).clip(upper=1)
    is_gone = table["survival"] == 0
    table = table.assign(
        week_start=pd.to_datetime(table["cohort"]),
        rate=1 - table["survival"] ** days,
        low=1 - table["ci_high"].fillna(rare.where(is_gone, 1.0)) ** days,
        high=1 - table["ci_low"].fillna((1 - rare).mask(is_gone, 0.0)) ** days,
    )
    worst = table.loc[table["low"].idxmax()]
    others = table.drop(index=worst.name)
    best = others.loc[others["high"].idxmin()]
    who = f"Who registered in the week of {day(worst['week_start'])} leaves"
    if worst["low"] > others["high"].max():
        title = f"{who} most: {percent(worst['rate'])} in 30 days"
    elif worst["low"] > best["high"]:
        title = (
            f"{who} more than who did in that of {day(best['week_start'])}: "
            f"{percent(worst['rate'])} against {percent(best['rate'])} in 30 days"
        )
    else:
        title = (
            f"No week of registration stands out: {between(table['rate'])} leave in 30 days, and "
            "the intervals overlap"
        )
    return Figure(
        key="cohorts",
        title=title,
        note="Share lost in 30 days at risk by week of registration, with its 95 % interval, as if "
        "users left as fast as on the days that are known; a week of which fewer than "
        f"{WHOLE_WEEK} days are known is left out.",
        chart=users.cohorts(table),
    )


def between(rates: pd.Series) -> str:
    """The least and the most of rates, or what is both."""
    least, most = percent(rates.min()), percent(rates.max())
    return least if least == most else f"{least} to {most}"


def _activity(data: ReportData) -> Iterator[Figure | Missing]:
    weeks = data.activity
    if weeks.empty:
        yield Missing("No weeks: fct_activity_rates is not built yet; build the tables again.")
        return
    weeks = weeks.assign(week_start=pd.to_datetime(weeks["week_start"]))
    whole = weeks[weeks["observed_day_count"] == WHOLE_WEEK]
    yield active(whole)
    if whole.empty:
        return
    total = whole.groupby("week_start").sum(numeric_only=True).reset_index()
    yield from _movements(total)
    yield _churn(whole)


def active(whole: pd.DataFrame) -> Figure | Missing:
    """Active users; whole: week_start, level, active_user_count, of whole weeks."""
    if whole.empty:
        return Missing("The log holds no whole week to compare.")
    whole = whole.assign(week_start=pd.to_datetime(whole["week_start"]))
    total = whole.groupby("week_start").sum(numeric_only=True).reset_index()
    first, last = total.iloc[0], total.iloc[-1]
    count = last["active_user_count"]
    before = first["active_user_count"]
    change = count / max(1, before) - 1
    than = f"{percent(abs(change))} {'more' if change > 0 else 'fewer'} than" if change else "as"
    # Of a handful a share says little.
    is_told = before >= FEW or not change
    compared = f"{than} in the first" if is_told else f"and {number(before)} in the first"
    return Figure(
        key="active",
        title=f"{plural(count, 'user')} {noun(count, 'was', 'were')} active in the last whole week"
        + (f", {compared}" if len(total) > 1 else "")
        if count
        else "Nobody was active in the last whole week",
        note="Users with any event, by the level they came into the week with; whole weeks only.",
        chart=users.active(whole),
    )


def _movements(total: pd.DataFrame) -> Iterator[Figure | Missing]:
    later = total.iloc[1:]
    if later.empty:
        yield Missing("Gains and losses need two whole weeks.")
        return
    short = int(
        (later["lost_user_count"] > later["new_user_count"] + later["returned_user_count"]).sum()
    )
    parts = {"new": "new_user_count", "back": "returned_user_count", "lost": "lost_user_count"}
    moved = later.melt("week_start", list(parts.values()), "movement", "users")
    moved["movement"] = moved["movement"].map({column: name for name, column in parts.items()})
    moved.loc[moved["movement"] == "lost", "users"] *= -1
    yield Figure(
        key="movements",
        title=f"In {short} of {plural(len(later), 'week')} more users fell silent than came or "
        "came back",
        note="New: never seen before. Back: seen before, but not in the week before. Lost: active "
        "in the week before and not in this one, whether they cancelled or not.",
        chart=users.movements(moved),
    )


def _churn(whole: pd.DataFrame) -> Figure | Missing:
    rates = whole[whole["churn_rate"].notna()]
    if rates.empty:
        return Missing(
            "No rate of churn: it needs a whole week of which all users at risk are known, those "
            "too who were active in the weeks before."
        )
    low, high = wilson(
        rates["churned_user_count"] / rates["at_risk_user_count"], rates["at_risk_user_count"]
    )
    total = rates.groupby("week_start").sum(numeric_only=True).reset_index()
    churn = total["churned_user_count"] / total["at_risk_user_count"]
    least, _ = wilson(churn, total["at_risk_user_count"])
    mean = total["churned_user_count"].sum() / total["at_risk_user_count"].sum()
    apart = churn[least > mean]
    return Figure(
        key="churn",
        title=f"{percent(mean)} of the users at risk leave in a week; "
        + (
            f"more, {percent(apart.max())}, in that of "
            f"{day(total.loc[apart.idxmax(), 'week_start'])}"
            if len(apart)
            else "no week stands out"
        )
        if churn.max() > 0
        else "Nobody left in these weeks",
        note="Churned users over users at risk (active lately and not gone), by the level they "
        "came into the week with, with 95 % intervals; from the first week on of which all who "
        "were active lately are known.",
        size="wide",
        chart=users.churn_rate(rates.assign(ci_low=low, ci_high=high)),
    )


def of_rows(data: ReportData) -> Iterator[Figure | Missing]:
    """What was rejected and why."""
    yield rejected(data.rows)


def rejected(rows: pd.DataFrame) -> Figure | Missing:
    """Rows by reason; rows: outcome (accepted, duplicates, left out or a reason), row_count."""
    others = ~rows["outcome"].isin(["accepted", "duplicates", "left out"])
    out = rows[others & (rows["row_count"] > 0)]
    if out.empty:
        return Missing("No row was rejected.")
    total, first = int(rows["row_count"].sum()), out.iloc[0]
    share = out["row_count"].sum() / total
    most = "most of them" if 2 * first["row_count"] > out["row_count"].sum() else "first of all"
    words = out.assign(outcome=out["outcome"].str.replace("_", " "))
    return Figure(
        key="rejected",
        title=f"{percent(share)} of the rows were rejected, {most} as "
        f"{first['outcome'].replace('_', ' ')}",
        note=f"Of {plural(total, 'row')} read. Anonymous rows come from visitors who are logged "
        "out: they belong to no user.",
        size="wide",
        chart=users.counts(words, name="outcome", value="row_count", title="rows"),
    )


def of_judging(data: ReportData) -> Iterator[Figure | Missing]:
    """How the model was judged."""
    model = data.model
    if model is None:
        yield Missing(data.why_no_model)
        return
    yield protocols(model)
    yield from candidates(model)
    yield calibration(model)
    yield lift(model)
    yield profit(model, currency=data.about.offer.currency)


def calibration(model: Model | None) -> Figure | Missing:
    """Whether a probability of so much means so many."""
    if model is None:
        return NO_MODEL
    overall = model.calibration[model.calibration["bin"] == 0].iloc[0]
    inside = overall["churners_low"] <= overall["expected_churners"] <= overall["churners_high"]
    return Figure(
        key="calibration",
        title=f"{plural(overall['expected_churners'].round(), 'loss', 'losses')} expected and "
        f"{overall['observed_churners']:.0f} counted ({overall['churners_low']:.0f} to "
        f"{overall['churners_high']:.0f}): the probabilities "
        + ("agree with the count within chance" if inside else "are off"),
        note="Each point is a tenth of the predictions with its 95 % interval; on the dashed line "
        "what was expected is what happened. A user counts once for every date predicted.",
        chart=models.reliability(model.calibration),
    )


def lift(model: Model | None) -> Figure | Missing:
    """How many of those who leave the riskiest hold."""
    if model is None:
        return NO_MODEL
    found = model.metrics.set_index(["candidate", "metric"]).loc[
        (model.candidate, "top_decile_lift")
    ]
    return Figure(
        key="lift",
        title=f"The riskiest tenth holds {found['value']:.1f} times as many leavers as by chance "
        f"({found['ci_low']:.1f} to {found['ci_high']:.1f})",
        note="Share who left in each tenth of predictions, over that of all; dashed: no skill.",
        chart=models.lift(model.y, model.p),
    )


def profit(model: Model | None, *, currency: str) -> Figure | Missing:
    """What contacting so large a share would have earned."""
    if model is None:
        return NO_MODEL
    peak = model.profit.loc[model.profit["realised"].idxmax()]
    return Figure(
        key="profit",
        title=f"Contacting the riskiest {100 * peak['share']:.0f} % would have earned the most: "
        f"{peak['realised']:.2f} {currency} per user and date"
        + ("" if peak["ci_low"] > 0 else ", which may be chance")
        if peak["share"] > 0
        else "Contacting anybody would not have paid in the weeks tested",
        note=f"In the weeks tested, with its 95 % interval ({peak['ci_low']:.2f} to "
        f"{peak['ci_high']:.2f} at the peak, which hindsight flatters); dashed: as the "
        "probabilities say. Under the assumptions made.",
        chart=models.profit(model.profit, currency=currency),
        size="wide",
    )


def candidates(model: Model | None) -> Iterator[Figure | Missing]:
    """Every candidate against no skill, by three metrics."""
    if model is None:
        yield NO_MODEL
        return
    known = model.metrics[model.metrics["candidate"] != "base_rate"]
    ranks = {metric: known[known["metric"] == metric] for metric in ("roc_auc", "pr_auc")}
    for key, table in (("gain", model.gains), *ranks.items()):
        name = "Gain in log loss" if key == "gain" else METRICS[key][0]
        no_skill = 0.0 if key == "gain" else float(table["no_skill"].iloc[0])
        table = table.assign(
            is_deployed=table["candidate"] == model.candidate,
            candidate=table["candidate"].map(called),
        ).sort_values("value", ascending=False)
        clear = int((table["ci_low"] > no_skill).sum())
        first = f"the {table['candidate'].iloc[0]}"
        yield Figure(
            key=key.replace("_", ""),
            title=f"{name}: {clear} of {plural(len(table), 'model')} "
            f"{noun(clear, 'beats', 'beat')} no skill beyond chance, "
            f"{'first' if clear else 'nearest'} {first}",
            note=f"Right is better; dashed: no skill; orange: {model.role}.",
            chart=models.candidates(table, no_skill=no_skill, title=name),
            size="third",
        )


def protocols(model: Model | None) -> Figure | Missing:
    """The usual public way to judge beside this one."""
    if model is None:
        return NO_MODEL
    both = model.protocols
    both = both[both["metric"] != "log_loss"] if len(both) else both
    if both.empty:
        return Missing(
            "The usual public way to judge cannot be shown: too few users had left, or too few "
            "stayed, when this model was trained, or its version did not measure it yet."
        )
    both = both.assign(protocol=both["protocol"].map(lambda name: PROTOCOLS.get(name, name)))
    public, honest = (
        both[(both["metric"] == "roc_auc") & (both["protocol"] == name)].iloc[0]
        for name in PROTOCOLS.values()
    )
    return Figure(
        key="protocols",
        title=f"Judged the usual way the ROC AUC would look like {public['value']:.2f}; judged on "
        f"what comes after, it is {honest['value']:.2f}",
        note="The usual way learns from whole histories split at random, in which the time a user "
        "was watched is itself the answer, and shows the best of several models on the rows it is "
        "tested on. Here a model learns from what was known on a date and predicts what follows. "
        "The short line is what no skill reaches.",
        chart=models.protocols(
            both.assign(metric=both["metric"].map(lambda name: METRICS[name][0]))
        ),
        size="wide",
    )


def of_drift(data: ReportData) -> Iterator[Figure | Missing]:
    """Which features of the users scored are not as they were."""
    drift = data.drift
    if drift.empty:
        yield Missing(
            "No drift is known: nobody is scored."
            if data.targets.empty
            else f"No drift of the users scored is known: `{data.about.command} score` finds it."
        )
        return
    drifted, shown = drift[drift["is_drifted"]], drift.head(DRIFT_SHOWN)
    named = listed([f"“{label}”" for label in drifted["label"].head(3)])
    yield Figure(
        key="drift",
        title=f"{len(drifted)} of {plural(len(drift), 'signal')} of today's users "
        f"{noun(len(drifted), 'differs', 'differ')} from those learned from, first of all {named}"
        if len(drifted)
        else f"None of {plural(len(drift), 'signal')} of today's users differs from those "
        "learned from",
        note="Population stability index against the rows learned from; the line is what 95 % of "
        "tables of this size stay below without any drift. Orange: what differs beyond chance, all "
        "signals looked at together, and more than it did between the past dates that the model "
        "was tested on, for histories grow and seasons pass. A reason to look, not to stop."
        + (f" The {len(shown)} first are shown." if len(drift) > len(shown) else ""),
        chart=models.drift(shown),
        size="wide",
    )


def _thinned(table: pd.DataFrame, *, keep: int, points: int = 200) -> pd.DataFrame:
    """At most about `points` rows, the row `keep` among them."""
    chosen = np.unique([*np.linspace(0, len(table) - 1, points).astype(int), keep])
    return table.iloc[chosen[chosen < len(table)]]
