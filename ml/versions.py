"""The versions of a model, as people read them."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from ml.evaluation import Gain
from ml.meaning import meaning
from ml.promotion import is_proven, learned_until
from ml.tuning import COLUMNS


@dataclass(frozen=True, kw_only=True)
class ModelVersion:
    """A registered version. alias: champion, challenger or None; decision: why, as a sentence.

    metrics: of the candidate in its backtest, by name: [value, ci_low, ci_high, no_skill].
    learners: what it was chosen among; feature_count: the columns that it reads. learned_until: the
    last as-of date that it learned from, None without dates. learned: from how many rows, and how
    many of them are churners'; older cards do not tell. warnings: what a reader should know.
    shift: how far the rows to be scored differed then, if they were given. definitions: what its
    rows and its label mean (see `meaning`); made_by: the code that made them, if it is known.
    """

    name: str
    version: int
    run_id: str
    trained_at: dt.datetime
    candidate: str
    alias: str | None
    decision: str
    skill: Gain
    table: str
    table_version: int | None
    fingerprint: str
    metrics: dict[str, list[float]] = field(default_factory=dict)
    learners: tuple[str, ...] = ()
    feature_count: int = 0
    learned_until: dt.date | None = None
    learned: tuple[int, int] | None = None
    warnings: tuple[str, ...] = ()
    shift: str = ""
    made_by: str = ""
    definitions: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_proven(self) -> bool:
        """Whether it beats the base rate by more than chance."""
        return is_proven(self.skill)

    def means(self, definitions: Mapping[str, str]) -> bool:
        """Whether a table of these definitions means the same, as far as both are known."""
        own = self.definitions
        return all(own.get(name, value) == value for name, value in definitions.items())


def version_of(name: str, card: dict[str, Any], made: Any, alias: str | None) -> ModelVersion:
    """A version of the model `name` from its card and from what MLflow keeps of it."""
    return ModelVersion(
        name=name,
        version=int(made.version),
        run_id=made.run_id,
        trained_at=dt.datetime.fromtimestamp(made.creation_timestamp / 1000, tz=dt.UTC),
        candidate=card["candidate"],
        alias=alias,
        decision=card["decision"],
        skill=Gain(**card["skill"]),
        table=card["spec"]["name"],
        table_version=card["spec"]["version"],
        fingerprint=card["fingerprint"],
        metrics=card.get("metrics", {}),
        learners=tuple(card["options"]["models"]),
        feature_count=len(columns_read(card)),
        learned_until=learned_until(card),
        learned=_learned(card),
        warnings=tuple(card.get("warnings", ())),
        shift=card.get("shift") or "",
        made_by=card["spec"].get("made_by") or "",
        definitions=meaning(card["spec"]),
    )


def versions_table(versions: Sequence[ModelVersion]) -> pd.DataFrame:
    """The versions to print: version, alias, trained_at, recipe, some metrics, data, decision.

    A metric reads "0.712 (0.651 to 0.770)", with its 95 % interval.
    """

    def shown(version: ModelVersion, metric: str) -> str:
        if metric not in version.metrics:
            return ""
        value, low, high, _ = version.metrics[metric]
        return f"{value:.3f} ({low:.3f} to {high:.3f})"

    metrics = ("roc_auc", "log_loss", "top_decile_lift", "expected_maximum_profit")
    rows = [
        {
            "version": version.version,
            "alias": version.alias or "",
            "trained_at": version.trained_at.strftime("%Y-%m-%d %H:%M"),
            "recipe": f"{version.candidate} on {version.feature_count} columns, chosen among "
            + ", ".join(version.learners),
            **{metric: shown(version, metric) for metric in metrics},
            "data": version.table
            + (f" version {version.table_version}" if version.table_version is not None else "")
            + (f", as of {version.learned_until} the last" if version.learned_until else ""),
            "decision": version.decision,
        }
        for version in versions
    ]
    return pd.DataFrame(rows)


def _learned(card: Mapping[str, Any]) -> tuple[int, int] | None:
    """How many rows a model learned from, and how many of them are churners'."""
    rows = card.get("row_count")
    return (rows, round(rows * card["average_risk"])) if rows else None


def columns_read(card: Mapping[str, Any]) -> list[str]:
    """The columns that the deployed candidate reads: the core, or all of a model's features.

    An average and a stack read what any of their learners does.
    """
    points = card["points"]
    own = [points[card["candidate"]]] if card["candidate"] in points else list(points.values())
    if own and all(point.get(COLUMNS) == "core" for point in own):
        return list(card["core"])
    return [feature["name"] for feature in card["features"]]
