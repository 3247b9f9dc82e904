"""What users do: pictures of small frames, one function a picture.

Every function takes a pandas frame and gives an Altair chart without title or width: who shows it
knows both.
"""

import altair as alt
import pandas as pd

from charts.theme import BLUE, GREEN, GRID, INK, LINES, MUTED, ORANGE, VERMILLION, limits, lines_of

LEVELS = {"free": ORANGE, "paid": BLUE, "unknown": MUTED}
PERCENT = alt.Axis(format="%")


def risk(probabilities: pd.Series, *, horizon_days: int, bins: int = 30) -> alt.Chart:
    """How many users have which probability of leaving."""
    counts = pd.cut(probabilities, bins).value_counts(sort=False)
    table = pd.DataFrame(
        {
            "low": [max(0.0, each.left) for each in counts.index],
            "high": [each.right for each in counts.index],
            "users": counts.to_numpy(),
        }
    )
    return (
        alt.Chart(table)
        .mark_bar(color=BLUE, binSpacing=1)
        .encode(
            x=alt.X(
                "low:Q",
                bin="binned",
                title=f"probability of leaving within {_days(horizon_days)}",
                axis=alt.Axis(format="%"),
            ),
            x2="high:Q",
            y=alt.Y("users:Q", title="users", axis=alt.Axis(tickMinStep=1, format=",.0f")),
            tooltip=[
                alt.Tooltip("low:Q", format=".1%", title="from"),
                alt.Tooltip("high:Q", format=".1%", title="to"),
                "users:Q",
            ],
        )
        .properties(height=220)
    )


def contact_value(totals: pd.DataFrame, *, currency: str) -> alt.LayerChart:
    """Expected profit by users contacted, its highest point marked. totals: contacted, total."""
    best = totals.loc[[totals["total"].idxmax()]]
    form = ",.0f" if best["total"].abs().max() >= 10 else ",.2f"
    y = alt.Y("total:Q", title=f"expected profit, {currency}", axis=alt.Axis(format=form))
    base = alt.Chart(totals).encode(
        x=alt.X(
            "contacted:Q",
            title="users contacted, best first",
            axis=alt.Axis(tickMinStep=1, format=",.0f"),
        ),
        y=y,
    )
    peak = alt.Chart(best).encode(x="contacted:Q", y="total:Q")
    return (
        _rule(0)
        + base.mark_line(color=BLUE).encode(
            tooltip=[
                alt.Tooltip("contacted:Q", format=","),
                alt.Tooltip("total:Q", format=form, title=f"expected profit, {currency}"),
            ]
        )
        + peak.mark_point(filled=True, size=90, color=VERMILLION, opacity=1)
        + peak.mark_text(dy=-14, fontWeight="bold").encode(text=alt.Text("total:Q", format=form))
    ).properties(height=240)


def counts(
    table: pd.DataFrame, *, name: str, value: str, title: str, form: str = ",.0f"
) -> alt.LayerChart:
    """Bars in the order of the rows, with the figure at the end of each, in D3's format `form`."""
    table = table.assign(label=[lines_of(each) for each in table[name].astype(str)])
    # A share has no smallest step.
    step = {} if form.endswith("%") else {"tickMinStep": 1}
    base = alt.Chart(table).encode(
        x=alt.X(f"{value}:Q", title=title, axis=alt.Axis(format=form, **step)),
        y=_rows(table["label"]),
        tooltip=[f"{name}:N", alt.Tooltip(f"{value}:Q", format=form, title=title)],
    )
    return (
        base.mark_bar(color=BLUE)
        + base.mark_text(align="left", dx=5).encode(text=alt.Text(f"{value}:Q", format=form))
    ).properties(height=34 * len(table))


def differences(table: pd.DataFrame) -> alt.LayerChart:
    """How often a user who leaves has more of a feature than one who stays, with intervals.

    table: label, value, ci_low, ci_high (0 to 1), is_telling, leave_median, stay_median.
    """
    table = table.assign(
        lines=[lines_of(each) for each in table["label"]],
        found=table["is_telling"].map({True: "beyond chance", False: "may be chance"}),
    )
    colour = alt.Color(
        "found:N",
        scale=alt.Scale(domain=["beyond chance", "may be chance"], range=[VERMILLION, MUTED]),
        legend=None,
    )
    x = alt.X(
        "value:Q",
        title="share of pairs",
        axis=alt.Axis(format="%"),
        scale=alt.Scale(zero=False),
    )
    base = alt.Chart(table).encode(y=_rows(table["lines"], field="lines"), color=colour)
    return (
        _rule(0.5, axis="x")
        + base.mark_rule(strokeWidth=2).encode(
            x=alt.X("ci_low:Q", title="share of pairs"),
            x2="ci_high:Q",
        )
        + base.mark_point(filled=True, size=80, opacity=1).encode(
            x=x,
            tooltip=[
                alt.Tooltip("label:N", title="feature"),
                alt.Tooltip("value:Q", format=".0%", title="pairs"),
                *limits(".0%"),
                alt.Tooltip("leave_median:Q", format=",.3~r", title="median, leaves"),
                alt.Tooltip("stay_median:Q", format=",.3~r", title="median, stays"),
            ],
        )
    ).properties(height=34 * len(table))


def run_up(weeks: pd.DataFrame, stays: float, *, title: str) -> alt.LayerChart:
    """A signal in the weeks before users leave, beside those who stay (the dashed line).

    weeks: weeks_before (1 is the last week), mean, ci_low, ci_high.
    """
    table = weeks.assign(week=-weeks["weeks_before"])
    base = alt.Chart(table).encode(
        x=alt.X(
            "week:O",
            title="weeks before leaving",
            axis=alt.Axis(labelAngle=0, labelExpr="abs(datum.value)"),
        )
    )
    return (
        _rule(stays, colour=BLUE)
        + base.mark_area(color=VERMILLION, opacity=0.18).encode(
            y=alt.Y("ci_low:Q", title=title, scale=alt.Scale(zero=True)), y2="ci_high:Q"
        )
        + base.mark_line(color=VERMILLION, point={"color": VERMILLION, "size": 45}).encode(
            y="mean:Q",
            tooltip=[
                alt.Tooltip("weeks_before:Q", title="weeks before"),
                alt.Tooltip("mean:Q", format=",.3~r", title=title),
                *limits(",.3~r"),
                alt.Tooltip("users:Q", title="users who leave"),
            ],
        )
    ).properties(height=180)


def survival(curve: pd.DataFrame) -> alt.LayerChart:
    """Share who stay by days since registration. curve: cohort, tenure_days, survival, limits."""
    base = alt.Chart(curve).encode(
        x=alt.X("tenure_days:Q", title="days since registration"),
        color=_levels(curve["cohort"], field="cohort"),
    )
    band = base.mark_area(opacity=0.15, interpolate="step-after").encode(
        y=alt.Y("ci_low:Q", title=""), y2="ci_high:Q"
    )
    return alt.layer(
        # Where nobody left there is no interval.
        *([band] if curve["ci_low"].notna().any() else []),
        base.mark_line(interpolate="step-after").encode(
            y=alt.Y("survival:Q", title="share who are still here", axis=PERCENT),
            tooltip=[
                alt.Tooltip("cohort:N", title="began"),
                alt.Tooltip("tenure_days:Q", title="days"),
                alt.Tooltip("survival:Q", format=".0%", title="still here"),
                *limits(".0%"),
                alt.Tooltip("at_risk_count:Q", title="users at risk"),
            ],
        ),
    ).properties(height=260)


def active(weeks: pd.DataFrame) -> alt.Chart:
    """Active users a week, by level. weeks: week_start, level, active_user_count."""
    return (
        alt.Chart(weeks)
        .mark_bar()
        .encode(
            x=_week(),
            y=alt.Y(
                "active_user_count:Q",
                title="active users",
                axis=alt.Axis(tickMinStep=1, format=",.0f"),
            ),
            color=_levels(weeks["level"]),
            tooltip=[
                _week_told(),
                "level:N",
                alt.Tooltip("active_user_count:Q", title="active users", format=","),
            ],
        )
        .properties(height=220)
    )


def movements(weeks: pd.DataFrame) -> alt.LayerChart:
    """Users gained and lost a week. weeks: week_start, movement, users (lost ones negative)."""
    scale = alt.Scale(domain=["new", "back", "lost"], range=[GREEN, BLUE, VERMILLION])
    bars = (
        alt.Chart(weeks)
        .mark_bar()
        .encode(
            x=_week(),
            y=alt.Y("users:Q", title="users", axis=alt.Axis(tickMinStep=1, format=",.0f")),
            color=alt.Color("movement:N", scale=scale),
            tooltip=[
                _week_told(),
                "movement:N",
                alt.Tooltip("users:Q", format=","),
            ],
        )
    )
    return (bars + _rule(0, colour=INK)).properties(height=220)


def churn_rate(weeks: pd.DataFrame) -> alt.LayerChart:
    """Share of users at risk who churn in a week, by level, with intervals where they are given.

    weeks: week_start, level, churn_rate, ci_low, ci_high, churned_user_count, at_risk_user_count.
    """
    base = alt.Chart(weeks).encode(x=_week(), color=_levels(weeks["level"]))
    base = base.encode(xOffset=alt.XOffset("level:N"))
    return (
        base.mark_rule(strokeWidth=1.5).encode(
            y=alt.Y("ci_low:Q", title="churn a week", axis=alt.Axis(format="%")), y2="ci_high:Q"
        )
        + base.mark_point(filled=True, size=55, opacity=1).encode(
            y="churn_rate:Q",
            tooltip=[
                _week_told(),
                "level:N",
                alt.Tooltip("churn_rate:Q", format=".1%", title="churn"),
                *limits(".1%"),
                alt.Tooltip("churned_user_count:Q", title="churned", format=","),
                alt.Tooltip("at_risk_user_count:Q", title="at risk", format=","),
            ],
        )
    ).properties(height=220)


def cohorts(table: pd.DataFrame) -> alt.LayerChart:
    """What cohorts lose. table: week_start, rate, low, high (0 to 1), users, churned."""
    x = _week(title="registered in the week of")
    return rates(table, x, _week_told(), title="lost in 30 days")


def mondays(table: pd.DataFrame, *, horizon_days: int) -> alt.LayerChart:
    """Share who leave by date. table: week_start (the date), rate, low, high, users, churned."""
    title = f"leave within {_days(horizon_days)}"
    return rates(table, _week(title="as of"), _week_told("as of"), title=title)


def by_value(table: pd.DataFrame, *, name: str, horizon_days: int) -> alt.LayerChart:
    """Share who leave by a feature's value. table: value, rate, low, high, users, churned."""
    x = alt.X("value:Q", title=name, scale=alt.Scale(zero=False, padding=12))
    told = alt.Tooltip("value:Q", title=name, format=",.3~r")
    return rates(table, x, told, title=f"leave within {_days(horizon_days)}")


def rates(table: pd.DataFrame, x: alt.X, told: alt.Tooltip, *, title: str) -> alt.LayerChart:
    """Shares with 95 % intervals; told: x in words.

    table: what x shows, rate, low, high (0 to 1), users, churned.
    """
    base = alt.Chart(table).encode(x=x)
    return (
        base.mark_rule(color=BLUE, strokeWidth=2).encode(
            y=alt.Y("low:Q", title=title, axis=alt.Axis(format="%")), y2="high:Q"
        )
        + base.mark_point(filled=True, size=80, color=BLUE, opacity=1).encode(
            y="rate:Q",
            tooltip=[
                told,
                alt.Tooltip("rate:Q", format=".1%", title=title),
                *limits(".1%", low="low", high="high"),
                alt.Tooltip("users:Q", format=",", title="users at risk"),
                alt.Tooltip("churned:Q", format=",", title="left"),
            ],
        )
    ).properties(height=260)


def _week(*, title: str = "week of") -> alt.X:
    """Weeks as bands: an axis of time would draw bars without a width of their own."""
    return alt.X(
        "yearmonthdate(week_start):O",
        title=title,
        axis=alt.Axis(format="%-d %b", labelAngle=0, labelOverlap=True),
    )


def _week_told(title: str = "week of") -> alt.Tooltip:
    return alt.Tooltip("week_start:T", title=title, format="%-d %b %Y")


def _days(count: int) -> str:
    return f"{count} day{'' if count == 1 else 's'}"


def _levels(levels: pd.Series, *, field: str = "level") -> alt.Color:
    """The colours of the levels that occur."""
    found = {name: LEVELS.get(name, MUTED) for name in sorted(set(levels))}
    return alt.Color(f"{field}:N", scale=alt.Scale(domain=[*found], range=[*found.values()]))


def _rows(labels: pd.Series, *, field: str = "label") -> alt.Y:
    return alt.Y(
        f"{field}:N",
        sort=labels.tolist(),
        title=None,
        axis=alt.Axis(labelExpr=LINES, labelLimit=220, labelPadding=8, labelOverlap=False),
    )


def _rule(value: float, *, axis: str = "y", colour: str = GRID) -> alt.Chart:
    rule = alt.Chart(pd.DataFrame({"at": [value]})).mark_rule(color=colour, strokeDash=[4, 4])
    return rule.encode(**{axis: alt.X("at:Q") if axis == "x" else alt.Y("at:Q")})
