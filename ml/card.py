"""What is kept of a trained model beside its pipeline: all that scoring and explaining need."""

import hashlib
import json
import subprocess
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from ml.table_spec import TableSpec
from ml.training import TrainingResult, TrainOptions
from ml.tuning import LEARNERS


def make_card(result: TrainingResult, spec: TableSpec, options: TrainOptions) -> dict[str, Any]:
    """All of a result that fits into JSON, with the settings that led to it."""
    own = result.metrics[result.metrics["candidate"] == result.candidate]
    settings = {
        # How features are told is kept of those that the model reads, below.
        "spec": asdict(replace(spec, wording={})),
        "options": asdict(options),
        "grids": {name: LEARNERS[name].grid for name in options.models},
    }
    return settings | {
        "candidate": result.candidate,
        "metrics": {
            row.metric: [row.value, row.ci_low, row.ci_high, row.no_skill]
            for row in own.itertuples()
        },
        "maximum_profit": asdict(result.maximum_profit),
        "origins": sorted(set(result.backtest["origin"])),
        "learned_until": str(result.learned_until) if result.learned_until else None,
        "folds": result.folds,
        "shift": result.shift.summary if result.shift else None,
        "reference": asdict(result.reference) if result.reference else None,
        "code_version": code_version(),
        "digest": digest(result),
        "threshold": result.threshold,
        "points": result.points,
        "meta_weights": result.meta_weights,
        "skill": asdict(result.skill),
        "stack_gain": asdict(result.stack_gain),
        "features": [asdict(feature) for feature in result.features],
        "core": list(result.core),
        "offered": sorted(result.offered),
        "typical": result.typical,
        "families": result.families,
        "wording": {name: asdict(each) for name, each in result.wording.items()},
        "average_risk": result.average_risk,
        "row_count": result.row_count,
        "warnings": result.warnings,
        "fingerprint": _fingerprint(settings),
    }


def _fingerprint(settings: dict[str, Any]) -> str:
    """A hash of the settings and of this package's code."""
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def run_metrics(result: TrainingResult) -> list[Any]:
    """Every metric of every candidate with its interval, as MLflow takes them."""
    from mlflow.entities import Metric

    now = int(time.time() * 1000)
    return [
        Metric(f"{row.candidate}.{row.metric}{suffix}", getattr(row, field), now, 0)
        for row in result.metrics.itertuples()
        for suffix, field in (("", "value"), (".low", "ci_low"), (".high", "ci_high"))
    ]


def run_params(card: dict[str, Any]) -> list[Any]:
    """Options, chosen points, table and code, as MLflow takes them."""
    from mlflow.entities import Param

    values = card["options"] | {f"point.{name}": point for name, point in card["points"].items()}
    for name in ("candidate", "fingerprint", "threshold", "origins", "code_version", "digest"):
        values[name] = card[name]
    for name in ("name", "version", "label"):
        values[f"table.{name}"] = card["spec"][name]
    return [Param(name, str(value)) for name, value in values.items()]


def digest(result: TrainingResult) -> str:
    """A hash of every candidate's backtest, to nine decimals: equal for a run that was repeated.

    Above 50,000 rows Spark adds up several partitions in the order in which they finish, which may
    move the last digits, and so the digest.
    """
    rows = result.backtest.sort_values(["candidate", "origin", "user"], kind="stable")
    lines = [
        f"{row.candidate},{row.origin},{row.user},{row.y},{row.p:.9f}" for row in rows.itertuples()
    ]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def code_version() -> str | None:
    """The git commit of this package's sources, with "+changes" if they differ; None without git.

    The fingerprint does not need it: it is a hash of the sources themselves.
    """
    folder = Path(__file__).parent

    def git(*words: str) -> str:
        command = ["git", "-C", str(folder), *words]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)
        return done.stdout.strip()

    try:
        # Installed into another project's checkout, that commit would say nothing of this code.
        if not git("ls-files", Path(__file__).name):
            return None
        return git("rev-parse", "HEAD") + ("+changes" if git("status", "--porcelain", ".") else "")
    except (OSError, subprocess.SubprocessError):
        return None
