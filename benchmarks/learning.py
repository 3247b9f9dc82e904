"""What models reach of what can be known, in each simulated world, and how long they take.

python -m benchmarks.learning [users] [seeds] [world ...]
"""

import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
from pyspark.sql import DataFrame, SparkSession
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score

from ml import evaluation
from ml.calibration import reliability
from ml.leaky import public_protocol
from ml.options import TrainOptions
from ml.stacking import BASE_RATE
from ml.training import TrainingResult
from sparkify import transform
from sparkify.commands.train import fit_and_register
from sparkify.datasets import SNAPSHOTS, feature_table, whole_history
from sparkify.engine import USER_BYTES
from sparkify.session import open_session
from sparkify.settings import Settings
from sparkify.simulator import simulate
from sparkify.simulator.worlds import WORLDS

MARTS = ("--select", "+path:models/marts/features", "dim_users")


def main(users: str = "5000", seeds: str = "1", *worlds: str) -> None:
    """Print skill by world and seed; of one seed of the usual world all that is behind it."""
    skills: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["SPARKIFY_HOME"] = str(Path(scratch, "home"))
        os.environ["SPARKIFY_WAREHOUSE"] = ""
        settings = Settings.from_environment()
        settings.export()
        spark = open_session(settings, size=int(users) * USER_BYTES)
        for world in worlds or WORLDS:
            for seed in range(1, int(seeds) + 1):
                log = Path(scratch, f"{world}-{seed}")
                result, rows = learn(spark, settings, log, users=int(users), seed=seed, world=world)
                if world == "usual" and seeds == "1":
                    show(spark, settings, result, rows)
                skills.setdefault(world, []).append(show_skill(result, rows, log.name))
    if seeds != "1":
        for world, found in skills.items():
            print(f"{world}: {np.mean(found):.1%} on average, {min(found):.1%} at least")


def learn(
    spark: SparkSession, settings: Settings, log: Path, *, users: int, seed: int, world: str
) -> tuple[TrainingResult, pd.DataFrame]:
    """What training finds in a simulated log, and its backtest's rows with their truth."""
    with timed(f"simulating {users:,} users, {log.name}"):
        simulate(spark, users=users, seed=seed, out=log, world=world)
    with timed("building the feature tables"):
        transform.register_events(settings, str(log / "events"))
        transform.run_dbt(settings, "run", *MARTS)
    with timed("tuning, stacking and backtesting"):
        result, _ = fit_and_register(
            settings,
            feature_table(spark, settings, SNAPSHOTS),
            options=TrainOptions(),
            model=f"benchmark-{log.name}",
            say=lambda step: None,
        )
    truth = pd.read_parquet(log / "truth" / "snapshots")
    base = result.backtest[result.backtest["candidate"] == BASE_RATE]
    rows = base.merge(
        truth, left_on=["user", "time"], right_on=["user_id", "as_of_date"], validate="1:1"
    )
    assert len(rows) == len(base), "a backtest row has no truth"
    return result, rows


def show_skill(result: TrainingResult, rows: pd.DataFrame, name: str) -> float:
    """Print and return the deployed candidate's skill; nan where there is nothing to know."""
    known = expected_auc(rows["probability"], rows["probability"]) - 0.5
    skills, expected = {}, {}
    for candidate, part in result.backtest.groupby("candidate"):
        expected[candidate] = reliability(part, draws=400, seed=0).iloc[0]
        reached = expected_auc(part["p"], truth_of(part, rows)) - 0.5
        skills[candidate] = reached / known if known > 1e-6 else np.nan
    skill = skills[result.candidate]
    gain, points = result.skill, result.points.get("logistic_regression", {})
    print(
        f"{name}: {result.candidate}, ROC AUC {skill * known + 0.5:.3f} of the oracle's "
        f"{known + 0.5:.3f}, skill {skill:.1%} ("
        + ", ".join(f"{each} {skills[each]:.1%}" for each in skills if each != BASE_RATE)
        + f"); log loss under the base rate {gain.value:+.4f} "
        f"({gain.ci_low:+.4f} to {gain.ci_high:+.4f}); logistic regression of {points}"
    )
    counted = expected[result.candidate]
    print(
        f"{name}: {result.churner_unit} counted {counted['observed_churners']:.0f} "
        f"({counted['churners_low']:.0f} to {counted['churners_high']:.0f}), expected by "
        + ", ".join(f"{each} {row['expected_churners']:.1f}" for each, row in expected.items()),
        flush=True,
    )
    return skill


def truth_of(part: pd.DataFrame, rows: pd.DataFrame) -> pd.Series:
    """The true probability of each row of a candidate."""
    known = rows.set_index(["user", "origin"])["probability"]
    return known.loc[pd.MultiIndex.from_frame(part[["user", "origin"]])]


def show(
    spark: SparkSession, settings: Settings, result: TrainingResult, rows: pd.DataFrame
) -> None:
    """Print every candidate beside the oracle on the same rows, and the public figures."""
    base = result.backtest[result.backtest["candidate"] == BASE_RATE]
    others = [
        rows.assign(candidate="oracle", p=rows["probability"])[base.columns],
        scikit_learn(spark.table(settings.table(SNAPSHOTS)), base)[base.columns],
    ]
    everybody = pd.concat([result.backtest, *others])
    expected = {
        name: expected_auc(part["p"], truth_of(part, rows))
        for name, part in everybody.groupby("candidate")
    }
    metrics = evaluation.performance(
        everybody.sort_values(["candidate", "origin", "user"]), draws=200, seed=0
    ).set_index(["candidate", "metric"])
    counts = metrics.iloc[0]
    print(
        f"\n{counts['row_count']:,.0f} predictions of {counts['user_count']:,.0f} users, "
        f"{counts['churner_count']:,.0f} of whom churned\n"
        f"{'':<34}ROC AUC (95 % interval)   expected AUC   skill of the oracle's   log loss   lift"
    )
    for name in metrics.index.unique("candidate"):
        auc, loss, lift = (
            metrics.loc[(name, each)] for each in ("roc_auc", "log_loss", "top_decile_lift")
        )
        label = f"{name} (deployed)" if name == result.candidate else name
        skill = (expected[name] - 0.5) / (expected["oracle"] - 0.5)
        print(
            f"{label:<34}{auc['value']:.3f} ({auc['ci_low']:.3f} to {auc['ci_high']:.3f})"
            f"{expected[name]:>16.3f}{skill:>24.1%}{loss['value']:>11.4f}{lift['value']:>7.2f}"
        )
    own = metrics.loc[result.candidate]
    overall = result.calibration.iloc[0]
    print(
        f"expected calibration error {own.loc['ece', 'value']:.4f}; "
        f"expected {result.churner_unit}: {overall['expected_churners']:.0f}; counted: "
        f"{overall['observed_churners']:.0f} "
        f"({overall['churners_low']:.0f} to {overall['churners_high']:.0f})"
    )
    for gain in (result.skill, result.stack_gain):
        print(
            f"log loss of {gain.candidate} under {gain.reference}: {gain.value:+.4f} "
            f"({gain.ci_low:+.4f} to {gain.ci_high:+.4f})"
        )
    table = whole_history(spark, settings)
    public = public_protocol(table.rows, table.spec)
    leaky = public[(public["metric"] == "roc_auc") & (public["candidate"] != BASE_RATE)]
    shown = ", ".join(f"{row.candidate} {row.value:.3f}" for row in leaky.itertuples())
    print(
        f"the public protocol, whole histories and a random split: ROC AUC {shown}; what is "
        "reported is the best of them, chosen on the rows it is tested on"
    )


def expected_auc(p: pd.Series, truth: pd.Series) -> float:
    """The ROC AUC if each row is as much a churner's as its true probability: no luck of labels."""
    y = np.repeat([1, 0], len(truth))
    return roc_auc_score(y, np.tile(p, 2), sample_weight=np.concatenate([truth, 1 - truth]))


def scikit_learn(rows: DataFrame, base: pd.DataFrame) -> pd.DataFrame:
    """HistGradientBoosting on the same rows and origins."""
    snapshots = rows.toPandas()
    label = next(name for name in snapshots if name.startswith("is_churned_next_"))
    horizon = pd.Timedelta(int(label.removeprefix("is_churned_next_").removesuffix("d")), "D")
    left_out = ["user_id", "as_of_date", label, "days_to_churn", "input_version"]
    features = snapshots.drop(columns=left_out)
    texts = features.select_dtypes("object").columns
    features = features.astype(dict.fromkeys(texts, "category"))
    times = pd.to_datetime(snapshots["as_of_date"])
    parts = []
    for origin, part in base.groupby("origin"):
        date = pd.Timestamp(origin)
        known = (times + horizon <= date) & snapshots[label].notna()
        now = times == date
        model = HistGradientBoostingClassifier(
            learning_rate=0.03,
            max_iter=120,
            max_leaf_nodes=8,
            min_samples_leaf=40,
            l2_regularization=5.0,
            max_features=0.3,
            random_state=0,
            categorical_features="from_dtype",
        )
        model.fit(features[known], snapshots.loc[known, label].astype(int))
        found = snapshots.loc[now, ["user_id"]].assign(p=model.predict_proba(features[now])[:, 1])
        parts.append(part.drop(columns="p").merge(found, left_on="user", right_on="user_id"))
    table = pd.concat(parts).assign(candidate="scikit-learn HGB")
    assert len(table) == len(base), "scikit-learn predicted other rows"
    return table


@contextmanager
def timed(what: str) -> Iterator[None]:
    """Print how long something took."""
    started = time.perf_counter()
    yield
    print(f"{what}: {time.perf_counter() - started:.0f} s", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
