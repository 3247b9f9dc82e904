"""The folder of a version in the MLflow store: written by training, read by scoring."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

import pandas as pd
import pyspark
from pyspark.ml import PipelineModel

from ml.errors import FilesGone
from ml.preprocessing import Feature
from ml.promotion import deployed_backtest
from ml.scoring import DeployedModel
from ml.training import TrainingResult
from ml.wording import Wording

CARD, BACKTEST, PIPELINE = "card.json", "backtest.parquet", "sparkml"
# Tables of a result that are kept as CSV files.
FRAMES = ("metrics", "tuning", "out_of_fold", "choice", "calibration", "policies", "profit")


def save(result: TrainingResult, card: dict[str, Any], artifacts: Path) -> Path:
    """Write the model and the plots of a run; return the model's folder.

    `mlflow.spark.load_model` reads the folder too. The session writes the pipeline by itself:
    MLflow's own way needs a JVM in this process, which a Spark Connect session has not.
    """
    # Importing these takes seconds that other commands need not spend.
    from mlflow.models import Model

    from ml.plots import save_plots

    folder = artifacts / "model"
    folder.mkdir(parents=True)
    result.pipeline.write().overwrite().save((folder / PIPELINE).as_uri())
    write_card(folder, card)
    deployed_backtest(result).to_parquet(folder / f"{BACKTEST}.partial")
    (folder / f"{BACKTEST}.partial").rename(folder / BACKTEST)
    for name in FRAMES:
        getattr(result, name).to_csv(folder / f"{name}.csv", index=False)
    described = Model(artifact_path="model", run_id=artifacts.parent.name)
    described.add_flavor(
        "spark", pyspark_version=pyspark.__version__, model_data=PIPELINE, code=None
    )
    described.save(str(folder / "MLmodel"))
    (folder / "requirements.txt").write_text(f"pyspark=={pyspark.__version__}\n")
    save_plots(result, artifacts / "plots")
    return folder


def write_card(folder: Path, card: dict[str, Any]) -> None:
    """Write the card of a model's folder, whole or not at all."""
    (folder / f"{CARD}.partial").write_text(json.dumps(card, indent=2))
    (folder / f"{CARD}.partial").rename(folder / CARD)


def load(name: str, version: Any) -> DeployedModel:
    """The model `name` of a version of MLflow's.

    Raises:
        FilesGone: there is no folder of it; here and in what else reads it.
    """
    card = read_card(version)
    return DeployedModel(
        pipeline=PipelineModel.load((_folder(version) / PIPELINE).as_uri()),
        features=features_of(card),
        typical=card["typical"],
        families={family: tuple(members) for family, members in card["families"].items()},
        # Earlier cards have neither.
        wording={feature: Wording(**each) for feature, each in card.get("wording", {}).items()},
        average_risk=card.get("average_risk"),
        name=name,
        version=int(version.version),
        metadata=card | {"run_id": version.run_id},
    )


def read_card(version: Any) -> dict[str, Any]:
    """The card of a version of MLflow's: see `ml.card.make_card`."""
    return json.loads((_folder(version) / CARD).read_text())


def read_backtest(version: Any) -> pd.DataFrame:
    """What the model of a version predicted in its backtest: see `deployed_backtest`."""
    return pd.read_parquet(_folder(version) / BACKTEST)


def features_of(card: dict[str, Any]) -> tuple[Feature, ...]:
    """The columns that the model of a card reads."""
    return tuple(Feature(**feature) for feature in card["features"])


def path_of(uri: str) -> Path:
    """The path of a file URI."""
    return Path(unquote(urlparse(uri).path))


def has_files(version: Any) -> bool:
    """Whether the folder of a version of MLflow's is there."""
    return (path_of(version.source) / CARD).is_file()


def _folder(version: Any) -> Path:
    folder = path_of(version.source)
    if not has_files(version):
        raise FilesGone(
            f"the files of version {version.version} of {version.name} are gone from {folder}: put "
            "them back; or begin anew: move the folder mlflow away and train"
        )
    return folder
