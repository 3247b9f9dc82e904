"""The charts that are kept with every run, as SVG files."""

from pathlib import Path

import altair as alt
import pandas as pd

from charts import models
from ml.training import TrainingResult

SIZE = {"width": 360, "height": 280}


def save_plots(result: TrainingResult, folder: Path) -> list[Path]:
    """Write reliability.svg, roc.svg, gain.svg, lift.svg and profit.svg; return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    deployed = result.backtest[result.backtest["candidate"] == result.candidate]
    y, p = deployed["y"].to_numpy(), deployed["p"].to_numpy()
    metrics = result.metrics[result.metrics["candidate"] == result.candidate].set_index("metric")
    overall = result.calibration[result.calibration["bin"] == 0].iloc[0]
    charts = {
        "reliability": (
            models.reliability(result.calibration),
            f"Expected {result.churner_unit}: {overall.expected_churners:.0f}; counted: "
            f"{overall.observed_churners:.0f} ({overall.churners_low:.0f} to "
            f"{overall.churners_high:.0f})",
        ),
        "roc": (models.roc(y, p), _titled("ROC AUC", metrics.loc["roc_auc"])),
        "gain": (models.gain(y, p), "Cumulative gain"),
        "lift": (models.lift(y, p), _titled("Top-decile lift", metrics.loc["top_decile_lift"])),
        "profit": (
            models.profit(result.profit, currency=result.offer.currency),
            alt.TitleParams(
                "Profit by share contacted (dashed: as expected)", subtitle=result.offer.assumptions
            ),
        ),
    }
    with alt.theme.enable("sparkify"):
        for name, (chart, title) in charts.items():
            # A file of its own has no page around it to give it a background.
            chart = chart.properties(title=title, background="white", **SIZE)
            chart.save(str(folder / f"{name}.svg"))
    return [folder / f"{name}.svg" for name in charts]


def _titled(name: str, row: pd.Series) -> str:
    return f"{name} {row['value']:.3f} ({row['ci_low']:.3f} to {row['ci_high']:.3f})"
