"""The charts that are kept with every run, as SVG files."""

from pathlib import Path

import altair as alt
import numpy as np
import pandas as pd

from ml.economics import Offer
from ml.training import TrainingResult

# Points of a curve: more do not show, and make the file large.
POINTS = 200
SIZE = {"width": 360, "height": 280}
INK, GREY = "#1f5fa8", "#9a9a9a"


def save_plots(result: TrainingResult, folder: Path) -> list[Path]:
    """Write reliability.svg, roc.svg, gain.svg, lift.svg and profit.svg; return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    deployed = result.backtest[result.backtest["candidate"] == result.candidate]
    y, p = deployed["y"].to_numpy(), deployed["p"].to_numpy()
    metrics = result.metrics[result.metrics["candidate"] == result.candidate].set_index("metric")
    charts = {
        "reliability": reliability(result.calibration, unit=result.churner_unit),
        "roc": roc(y, p, title=_titled("ROC AUC", metrics.loc["roc_auc"])),
        "gain": gain(y, p),
        "lift": lift(y, p, title=_titled("Top-decile lift", metrics.loc["top_decile_lift"])),
        "profit": profit(result.profit, offer=result.offer),
    }
    paths = []
    for name, chart in charts.items():
        paths.append(folder / f"{name}.svg")
        chart.save(str(paths[-1]))
    return paths


def reliability(calibration: pd.DataFrame, *, unit: str) -> alt.LayerChart:
    """Observed share of churners by predicted probability, with 95 % intervals.

    unit: what a positive row is, as in `TrainingResult.churner_unit`.
    """
    curve = calibration[calibration["bin"] > 0]
    overall = calibration[calibration["bin"] == 0].iloc[0]
    title = (
        f"Expected {unit}: {overall.expected_churners:.0f}; counted: "
        f"{overall.observed_churners:.0f} ({overall.churners_low:.0f} to "
        f"{overall.churners_high:.0f})"
    )
    x = alt.X("mean_probability:Q", title="predicted probability")
    y = alt.Y("observed_share:Q", title="observed share of churners")
    base = alt.Chart(curve, title=title)
    intervals = base.mark_rule(color=INK).encode(
        x=x, y=alt.Y("ci_low:Q", title="observed share of churners"), y2="ci_high:Q"
    )
    points = base.mark_point(filled=True, size=50, color=INK).encode(x=x, y=y)
    top = float(curve[["mean_probability", "ci_high"]].max().max())
    return (_diagonal(top) + intervals + points).properties(**SIZE)


def roc(y: np.ndarray, p: np.ndarray, *, title: str) -> alt.LayerChart:
    """Churners found by share of others flagged."""
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
        alt.Chart(table, title=title)
        .mark_line(color=INK)
        .encode(
            x=alt.X("others:Q", title="share of others flagged"),
            y=alt.Y("churners:Q", title="share of churners found"),
            order="others:Q",
        )
    )
    return (_diagonal(1.0) + line).properties(**SIZE)


def gain(y: np.ndarray, p: np.ndarray) -> alt.LayerChart:
    """Churners found by share of users contacted, the highest probability first."""
    ranked = _ranked(y, p)
    found = np.append(0, np.cumsum(ranked) / max(1, ranked.sum()))
    table = _thinned(pd.DataFrame({"share": np.linspace(0, 1, len(found)), "found": found}))
    line = (
        alt.Chart(table, title="Cumulative gain")
        .mark_line(color=INK)
        .encode(
            x=alt.X("share:Q", title="share of users contacted", axis=alt.Axis(format="%")),
            y=alt.Y("found:Q", title="share of churners found", axis=alt.Axis(format="%")),
        )
    )
    return (_diagonal(1.0) + line).properties(**SIZE)


def lift(y: np.ndarray, p: np.ndarray, *, title: str) -> alt.LayerChart:
    """How many times as many churners as by lot, in each decile."""
    decile = np.arange(len(y)) * 10 // max(1, len(y)) + 1
    table = pd.DataFrame({"decile": decile, "y": _ranked(y, p)}).groupby("decile")["y"].mean()
    table = (table / max(y.mean(), 1e-12)).rename("lift").reset_index()
    bars = (
        alt.Chart(table, title=title)
        .mark_bar(color=INK)
        .encode(
            x=alt.X("decile:O", title="decile of users, the highest probability first"),
            y=alt.Y("lift:Q", title="lift"),
        )
    )
    even = alt.Chart(pd.DataFrame({"lift": [1.0]})).mark_rule(color=GREY, strokeDash=[4, 4])
    return (bars + even.encode(y="lift:Q")).properties(**SIZE)


def profit(curve: pd.DataFrame, *, offer: Offer) -> alt.LayerChart:
    """Profit by share contacted: realised with its 95 % interval, and expected."""
    title = alt.TitleParams(
        "Profit by share contacted (dashed: as expected)", subtitle=offer.assumptions
    )
    x = alt.X("share:Q", title="share of users contacted", axis=alt.Axis(format="%"))
    base = alt.Chart(curve, title=title)
    band = base.mark_area(color=INK, opacity=0.15).encode(
        x=x, y=alt.Y("ci_low:Q", title=f"profit per user, {offer.currency}"), y2="ci_high:Q"
    )
    realised = base.mark_line(color=INK).encode(x=x, y="realised:Q")
    expected = base.mark_line(color=GREY, strokeDash=[4, 4]).encode(x=x, y="expected:Q")
    return (band + realised + expected).properties(**SIZE)


def _ranked(y: np.ndarray, p: np.ndarray) -> np.ndarray:
    return y[np.argsort(-p, kind="stable")]


def _thinned(table: pd.DataFrame) -> pd.DataFrame:
    return table.iloc[np.unique(np.linspace(0, len(table) - 1, POINTS).astype(int))]


def _diagonal(top: float) -> alt.Chart:
    ends = pd.DataFrame({"x": [0.0, top], "y": [0.0, top]})
    return alt.Chart(ends).mark_line(color=GREY, strokeDash=[4, 4]).encode(x="x:Q", y="y:Q")


def _titled(name: str, row: pd.Series) -> str:
    return f"{name} {row['value']:.3f} ({row['ci_low']:.3f} to {row['ci_high']:.3f})"
