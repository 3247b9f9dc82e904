"""How a model did: pictures of what a training measured, one function a picture.

Every function takes a pandas frame and gives an Altair chart without title or width: who shows it
knows both.
"""

import altair as alt
import numpy as np
import pandas as pd

from charts.theme import BLUE, GRID, INK, LINES, MUTED, VERMILLION, limits, lines_of

# Points of a curve: more do not show, and make the file large.
POINTS = 200
PERCENT = alt.Axis(format="%")


def reliability(calibration: pd.DataFrame) -> alt.LayerChart:
    """Share who left by predicted probability, with 95 % intervals.

    calibration: as `ml.calibration.reliability` returns it; bin 0, all rows together, is not drawn.
    """
    curve = calibration[calibration["bin"] > 0]
    x = alt.X("mean_probability:Q", title="predicted probability", axis=PERCENT)
    y = alt.Y("ci_low:Q", title="share who left", axis=PERCENT)
    base = alt.Chart(curve).encode(x=x)
    # No further right than the predictions, which intervals may overtop by far.
    top = 1.05 * float(curve["mean_probability"].max())
    return (
        _diagonal(top)
        + base.mark_rule(color=BLUE, strokeWidth=2).encode(y=y, y2="ci_high:Q")
        + base.mark_point(filled=True, size=70, color=BLUE, opacity=1).encode(
            y="observed_share:Q",
            tooltip=[
                alt.Tooltip("mean_probability:Q", format=".1%", title="predicted"),
                alt.Tooltip("observed_share:Q", format=".1%", title="left"),
                *limits(".1%"),
                alt.Tooltip("row_count:Q", format=",", title="predictions"),
            ],
        )
    ).properties(height=280)


def roc(y: np.ndarray, p: np.ndarray) -> alt.LayerChart:
    """Churners found by share of others flagged; y (0 or 1) and p are (rows,)."""
    ranked = _ranked(y, p)
    table = _thinned(
        pd.DataFrame(
            {
                "others": np.append(0, np.cumsum(1 - ranked) / max(1, (1 - ranked).sum())),
                "churners": np.append(0, np.cumsum(ranked) / max(1, ranked.sum())),
            }
        )
    )
    line = (
        alt.Chart(table)
        .mark_line(color=BLUE)
        .encode(
            x=alt.X("others:Q", title="share of others flagged", axis=PERCENT),
            y=alt.Y("churners:Q", title="share of churners found", axis=PERCENT),
            order="others:Q",
        )
    )
    return (_diagonal(1.0) + line).properties(height=280)


def gain(y: np.ndarray, p: np.ndarray) -> alt.LayerChart:
    """Churners found by share contacted, highest probability first; y and p are (rows,)."""
    ranked = _ranked(y, p)
    found = np.append(0, np.cumsum(ranked) / max(1, ranked.sum()))
    table = _thinned(pd.DataFrame({"share": np.linspace(0, 1, len(found)), "found": found}))
    line = (
        alt.Chart(table)
        .mark_line(color=BLUE)
        .encode(
            x=alt.X("share:Q", title="share of users contacted", axis=PERCENT),
            y=alt.Y("found:Q", title="share of churners found", axis=PERCENT),
        )
    )
    return (_diagonal(1.0) + line).properties(height=280)


def lift(y: np.ndarray, p: np.ndarray) -> alt.LayerChart:
    """How many times as many churners as by chance, in each tenth; y and p are (rows,)."""
    tenth = np.arange(len(y)) * 10 // max(1, len(y)) + 1
    table = pd.DataFrame({"tenth": tenth, "y": _ranked(y, p)}).groupby("tenth")["y"].mean()
    table = (table / max(y.mean(), 1e-12)).rename("lift").reset_index()
    bars = alt.Chart(table).encode(
        x=alt.X(
            "tenth:O",
            title="tenth of users, the riskiest first",
            axis=alt.Axis(labelAngle=0, labelOverlap=False),
        ),
        y=alt.Y("lift:Q", title="times as many as by chance"),
        tooltip=[alt.Tooltip("tenth:O"), alt.Tooltip("lift:Q", format=".2f")],
    )
    even = alt.Chart(pd.DataFrame({"lift": [1.0]})).mark_rule(color=INK, strokeDash=[4, 4])
    return (bars.mark_bar(color=BLUE) + even.encode(y="lift:Q")).properties(height=280)


def profit(curve: pd.DataFrame, *, currency: str) -> alt.LayerChart:
    """Profit by share contacted with its 95 % interval, as expected (dashed), and its peak.

    curve: as `ml.economics.profit_curve` returns it. The axis reaches as far below 0 as the peak
    lies above it: further right contacting only costs, and would flatten what matters.
    """
    peak = curve.loc[[curve["realised"].idxmax()]]
    top = max(float(peak["ci_high"].iloc[0]), float(curve["expected"].max()), 1e-6)
    shown = curve[(curve["realised"] >= -top) | (curve["share"] <= peak["share"].iloc[0])]
    scale = alt.Scale(domain=[-top, top * 1.15])
    base = alt.Chart(shown).encode(
        x=alt.X("share:Q", title="share of users contacted", axis=PERCENT)
    )
    y = alt.Y("ci_low:Q", title=f"profit per user and date, {currency}", scale=scale)
    mark = alt.Chart(peak).encode(x="share:Q", y="realised:Q")
    return (
        _rule(0)
        + base.mark_area(color=BLUE, opacity=0.15, clip=True).encode(y=y, y2="ci_high:Q")
        + base.mark_line(color=MUTED, strokeDash=[4, 4], clip=True).encode(y="expected:Q")
        + base.mark_line(color=BLUE, clip=True).encode(
            y="realised:Q",
            tooltip=[
                alt.Tooltip("share:Q", format=".0%", title="contacted"),
                alt.Tooltip("threshold:Q", format=".1%", title="probability from"),
                alt.Tooltip("realised:Q", format=".2f", title=f"profit, {currency}"),
                *limits(".2f"),
                alt.Tooltip("expected:Q", format=".2f", title="as expected"),
            ],
        )
        + mark.mark_point(filled=True, size=90, color=VERMILLION, opacity=1)
        + mark.mark_text(dy=-14, fontWeight="bold").encode(
            text=alt.Text("realised:Q", format=".2f")
        )
    ).properties(height=280)


def candidates(
    table: pd.DataFrame, *, no_skill: float, title: str, letters: int = 16
) -> alt.LayerChart:
    """A figure of every candidate with its 95 % interval, and what no skill reaches (dashed).

    table: candidate, value, ci_low, ci_high, is_deployed; title: of the axis; letters: in a line of
    a candidate's name.
    """
    table = table.assign(
        lines=[lines_of(each, width=letters) for each in table["candidate"]],
        use=table["is_deployed"].map({True: "in use", False: "other"}),
    )
    base = alt.Chart(table).encode(
        y=alt.Y(
            "lines:N",
            sort=table["lines"].tolist(),
            title=None,
            axis=alt.Axis(labelExpr=LINES, labelLimit=300, labelPadding=8, labelOverlap=False),
        ),
        color=alt.Color(
            "use:N",
            scale=alt.Scale(domain=["in use", "other"], range=[VERMILLION, BLUE]),
            legend=None,
        ),
    )
    rule = alt.Chart(pd.DataFrame({"at": [no_skill]})).mark_rule(color=INK, strokeDash=[4, 4])
    return (
        rule.encode(x="at:Q")
        + base.mark_rule(strokeWidth=2).encode(
            x=alt.X(
                "ci_low:Q",
                title=title,
                scale=alt.Scale(zero=False),
                axis=alt.Axis(tickCount=4, labelOverlap="greedy", labelSeparation=8),
            ),
            x2="ci_high:Q",
        )
        + base.mark_point(filled=True, size=80, opacity=1).encode(
            x="value:Q",
            tooltip=[
                alt.Tooltip("candidate:N"),
                alt.Tooltip("value:Q", format=".3f"),
                *limits(".3f"),
            ],
        )
    ).properties(height=34 * len(table))


def protocols(table: pd.DataFrame) -> alt.LayerChart:
    """Each metric as two protocols measure it, with 95 % intervals and what no skill reaches.

    table: metric, protocol, value, ci_low, ci_high, no_skill.
    """
    names = list(dict.fromkeys(table["protocol"]))
    y = alt.Y(
        "metric:N",
        sort=list(dict.fromkeys(table["metric"])),
        title=None,
        axis=alt.Axis(labelExpr=LINES, labelPadding=8, labelOverlap=False),
    )
    base = alt.Chart(table).encode(
        y=y,
        yOffset=alt.YOffset("protocol:N", sort=names),
        color=alt.Color("protocol:N", scale=alt.Scale(domain=names, range=[VERMILLION, BLUE])),
    )
    return (
        base.mark_rule(strokeWidth=2).encode(
            x=alt.X("ci_low:Q", title="0 is worst, 1 is best", scale=alt.Scale(domain=[0, 1])),
            x2="ci_high:Q",
        )
        + base.mark_tick(thickness=2, size=14).encode(x="no_skill:Q")
        + base.mark_point(filled=True, size=80, opacity=1).encode(
            x="value:Q",
            tooltip=[
                "metric:N",
                "protocol:N",
                alt.Tooltip("value:Q", format=".3f"),
                *limits(".3f"),
                alt.Tooltip("no_skill:Q", format=".3f", title="no skill"),
            ],
        )
    ).properties(height=24 * len(table))


def drift(table: pd.DataFrame) -> alt.LayerChart:
    """How far features drift, beside what chance alone gives.

    table: label, psi, psi_bound, is_drifted, by which the bars are coloured.
    """
    table = table.assign(
        lines=[lines_of(each) for each in table["label"]],
        colour=[VERMILLION if each else BLUE for each in table["is_drifted"]],
    )
    base = alt.Chart(table).encode(
        y=alt.Y(
            "lines:N",
            sort=table["lines"].tolist(),
            title=None,
            axis=alt.Axis(labelExpr=LINES, labelLimit=220, labelPadding=8, labelOverlap=False),
        ),
        tooltip=[
            alt.Tooltip("label:N", title="feature"),
            alt.Tooltip("psi:Q", format=".2f", title="stability index"),
            alt.Tooltip("psi_bound:Q", format=".2f", title="95 % of chance below"),
        ],
    )
    return (
        base.mark_bar().encode(
            x=alt.X("psi:Q", title="stability index"), color=alt.Color("colour:N", scale=None)
        )
        + base.mark_tick(color=INK, thickness=3, size=22).encode(x="psi_bound:Q")
    ).properties(height=34 * len(table))


def _ranked(y: np.ndarray, p: np.ndarray) -> np.ndarray:
    return y[np.argsort(-p, kind="stable")]


def _thinned(table: pd.DataFrame) -> pd.DataFrame:
    return table.iloc[np.unique(np.linspace(0, len(table) - 1, POINTS).astype(int))]


def _diagonal(top: float) -> alt.Chart:
    ends = pd.DataFrame({"x": [0.0, top], "y": [0.0, top]})
    return alt.Chart(ends).mark_line(color=MUTED, strokeDash=[4, 4]).encode(x="x:Q", y="y:Q")


def _rule(value: float) -> alt.Chart:
    return alt.Chart(pd.DataFrame({"at": [value]})).mark_rule(color=GRID).encode(y="at:Q")
