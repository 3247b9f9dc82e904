"""Trained models in MLflow: what was tried, what it scored, and which version is in use."""

import hashlib
import json
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

import pandas as pd
import pyspark
from pyspark.ml import PipelineModel

from ml import evaluation
from ml.checks import TableSpec
from ml.evaluation import Gain
from ml.preprocessing import Feature
from ml.scoring import DeployedModel
from ml.training import TrainingResult, TrainOptions
from ml.tuning import LEARNERS

CHAMPION, CHALLENGER = "champion", "challenger"
CARD, BACKTEST, PIPELINE = "card.json", "backtest.parquet", "sparkml"


@dataclass(frozen=True, kw_only=True)
class ModelVersion:
    """A registered version. alias: champion, challenger or None; decision: why, as a sentence."""

    name: str
    version: int
    run_id: str
    trained_at: datetime
    candidate: str
    alias: str | None
    decision: str
    skill: Gain
    table: str
    table_version: int | None
    fingerprint: str


class Registry:
    """The versions of one model, in an MLflow store.

    One name holds models of one feature table: a champion is only ever compared with models that
    were tested on the same rows.
    """

    def __init__(self, tracking_uri: str, artifact_root: str, name: str = "sparkify-churn") -> None:
        self.tracking_uri = tracking_uri
        self.artifact_root = Path(artifact_root).resolve()
        self.name = name

    def log(self, result: TrainingResult, spec: TableSpec, options: TrainOptions) -> ModelVersion:
        """Record a run, register its model, and give it the alias that `decide` says.

        The run holds parameters and every metric with its interval; the model's folder holds the
        pipeline, the backtest, out-of-fold log-odds, tuning scores, and a card (card.json) with
        all that scoring and explaining need.
        """
        with self._client() as client:
            current = self._by_alias(client, CHAMPION)
            alias, decision = decide(
                result,
                champion=pd.read_parquet(_folder(current) / BACKTEST) if current else None,
                champion_name=f"version {current.version}" if current else "",
                draws=options.draws,
                seed=options.seed,
            )
            if alias is None:
                client.delete_registered_model_alias(self.name, CHAMPION)
                alias = CHALLENGER
            card = _card(result, spec, options) | {"decision": decision}
            run = client.create_run(self._experiment(client), run_name=result.candidate)
            client.log_batch(run.info.run_id, metrics=_metrics(result), params=_params(card))
            folder = _path(run.info.artifact_uri) / "model"
            _save(result, card, folder)
            made = client.create_model_version(self.name, folder.as_uri(), run.info.run_id)
            client.set_registered_model_alias(self.name, alias, made.version)
            held = self._by_alias(client, CHALLENGER)
            if alias == CHAMPION and held:
                client.delete_registered_model_alias(self.name, CHALLENGER)
            client.set_terminated(run.info.run_id)
        return self._version(card, made, alias)

    def champion(self) -> tuple[DeployedModel | None, str]:
        """The model in use and what it is called; or None and why there is none."""
        with self._client() as client:
            current = self._by_alias(client, CHAMPION)
        if current is None:
            return None, self._why_none()
        folder = _folder(current)
        card = json.loads((folder / CARD).read_text())
        model = DeployedModel(
            pipeline=PipelineModel.load((folder / PIPELINE).as_uri()),
            features=tuple(Feature(**feature) for feature in card["features"]),
            typical=card["typical"],
            families={name: tuple(members) for name, members in card["families"].items()},
            name=self.name,
            version=int(current.version),
            metadata=card | {"run_id": current.run_id},
        )
        return model, f"{self.name} version {model.version} ({card['candidate']})"

    def versions(self) -> list[ModelVersion]:
        """All versions, the newest first."""
        with self._client() as client:
            held = {alias: self._by_alias(client, alias) for alias in (CHALLENGER, CHAMPION)}
            aliases = {each.version: alias for alias, each in held.items() if each}
            found = client.search_model_versions(f"name = '{self.name}'")
        cards = [json.loads((_folder(each) / CARD).read_text()) for each in found]
        versions = [
            self._version(card, each, aliases.get(each.version))
            for card, each in zip(cards, found, strict=True)
        ]
        return sorted(versions, key=lambda each: -each.version)

    def _why_none(self) -> str:
        versions = self.versions()
        if not versions:
            return f"No model {self.name} has been trained yet."
        last = versions[0]
        return f"No version of {self.name} is champion. Version {last.version}: {last.decision}"

    @contextmanager
    def _client(self) -> Iterator[Any]:
        """A client of the store; its own log lines would drown the command's."""
        # Read at import: without it MLflow reports its use over the network.
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        noisy = [logging.getLogger(name) for name in ("mlflow", "alembic")]
        levels = [logger.level for logger in noisy]
        # Importing MLflow takes seconds that commands without a model need not spend.
        from mlflow import MlflowClient

        for logger in noisy:
            logger.setLevel(logging.ERROR)
        try:
            client = MlflowClient(self.tracking_uri, registry_uri=self.tracking_uri)
            if not client.search_registered_models(f"name = '{self.name}'"):
                client.create_registered_model(self.name)
            yield client
        finally:
            for logger, level in zip(noisy, levels, strict=True):
                logger.setLevel(level)

    def _by_alias(self, client: Any, alias: str) -> Any:
        """MLflow's version with this alias, or None."""
        version = client.get_registered_model(self.name).aliases.get(alias)
        return client.get_model_version(self.name, version) if version else None

    def _experiment(self, client: Any) -> str:
        found = client.get_experiment_by_name(self.name)
        if found:
            return found.experiment_id
        return client.create_experiment(self.name, self.artifact_root.as_uri())

    def _version(self, card: dict, made: Any, alias: str | None) -> ModelVersion:
        return ModelVersion(
            name=self.name,
            version=int(made.version),
            run_id=made.run_id,
            trained_at=datetime.fromtimestamp(made.creation_timestamp / 1000, tz=UTC),
            candidate=card["candidate"],
            alias=alias,
            decision=card["decision"],
            skill=Gain(**card["skill"]),
            table=card["spec"]["name"],
            table_version=card["spec"]["version"],
            fingerprint=card["fingerprint"],
        )


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
    shared = None if champion is None else _shared_rows(_deployed_backtest(result), champion)
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


def _deployed_backtest(result: TrainingResult) -> pd.DataFrame:
    """What the deployed candidate predicted; keys as text, as files do not keep every type."""
    rows = result.backtest[result.backtest["candidate"] == result.candidate]
    rows = rows[["user", "time", "origin", "y", "p"]]
    return rows.astype({"user": str, "time": str}).reset_index(drop=True)


def _card(result: TrainingResult, spec: TableSpec, options: TrainOptions) -> dict[str, Any]:
    settings = {
        "spec": asdict(spec),
        "options": asdict(options),
        "grids": {name: LEARNERS[name].grid for name in options.models},
    }
    return settings | {
        "candidate": result.candidate,
        "threshold": result.threshold,
        "points": result.points,
        "meta_weights": result.meta_weights,
        "skill": asdict(result.skill),
        "stack_gain": asdict(result.stack_gain),
        "features": [asdict(feature) for feature in result.features],
        "typical": result.typical,
        "families": result.families,
        "warnings": result.warnings,
        "fingerprint": _fingerprint(settings),
    }


def _fingerprint(settings: dict[str, Any]) -> str:
    """A hash of the settings and of this package's code."""
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _metrics(result: TrainingResult) -> list[Any]:
    from mlflow.entities import Metric

    now = int(time.time() * 1000)
    return [
        Metric(f"{row.candidate}.{row.metric}{suffix}", getattr(row, field), now, 0)
        for row in result.metrics.itertuples()
        for suffix, field in (("", "value"), (".low", "ci_low"), (".high", "ci_high"))
    ]


def _params(card: dict[str, Any]) -> list[Any]:
    from mlflow.entities import Param

    values = card["options"] | {f"point.{name}": point for name, point in card["points"].items()}
    for name in ("candidate", "fingerprint", "threshold"):
        values[name] = card[name]
    for name in ("name", "version", "label"):
        values[f"table.{name}"] = card["spec"][name]
    return [Param(name, str(value)) for name, value in values.items()]


def _save(result: TrainingResult, card: dict[str, Any], folder: Path) -> None:
    """Write the model's folder, which `mlflow.spark.load_model` reads too.

    The session writes the pipeline by itself: MLflow's own way needs a JVM in this process, which
    a Spark Connect session has not.
    """
    from mlflow.models import Model

    folder.mkdir(parents=True)
    result.pipeline.write().overwrite().save((folder / PIPELINE).as_uri())
    (folder / CARD).write_text(json.dumps(card, indent=2))
    _deployed_backtest(result).to_parquet(folder / BACKTEST)
    for name in ("metrics", "tuning", "out_of_fold"):
        getattr(result, name).to_csv(folder / f"{name}.csv", index=False)
    described = Model(artifact_path="model", run_id=folder.parent.parent.name)
    described.add_flavor(
        "spark", pyspark_version=pyspark.__version__, model_data=PIPELINE, code=None
    )
    described.save(str(folder / "MLmodel"))
    (folder / "requirements.txt").write_text(f"pyspark=={pyspark.__version__}\n")


def _folder(version: Any) -> Path:
    return _path(version.source)


def _path(uri: str) -> Path:
    return Path(unquote(urlparse(uri).path))
