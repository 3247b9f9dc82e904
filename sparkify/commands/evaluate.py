"""What `sparkify evaluate` does: the honest protocol, and the usual one beside it."""

import pandas as pd
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from sparkify.datasets import whole_history
from sparkify.errors import BadInput
from sparkify.formatting import plural
from sparkify.registered import how_to_train, registry
from sparkify.settings import Settings
from sparkify.stages import open_stage
from sparkify.summary import interval
from sparkify.terminal import line, stage, table


def evaluate(settings: Settings, *, protocol: str) -> None:
    """Print how good models are by the backtest alone, or beside how they look the public way."""
    spark = open_stage(settings)
    if protocol == "honest":
        show_performance(latest_performance(spark, settings))
        return
    from ml.leaky import public_protocol, side_by_side

    rows = whole_history(spark, settings)
    with stage("Learning from whole histories, split at random"):
        public = public_protocol(rows.rows, rows.spec)
    honest = latest_performance(spark, settings)
    both = side_by_side(public, honest, candidate=honest["model_candidate"].iloc[0])
    table(
        "The same users, judged in two ways",
        {
            "metric": "left",
            "protocol": "left",
            "model": "left",
            "value": "left",
            "no skill": "right",
        },
        [
            (
                row["metric"],
                row["protocol"],
                row["candidate"],
                interval(row),
                f"{row['no_skill']:.3f}",
            )
            for _, row in both.iterrows()
        ],
        note="[95 % interval]",
    )
    line()
    line(
        "The first learns from what users did up to their last day: how long a user was watched "
        "is itself the answer. By each metric it shows the best of "
        f"{public['candidate'].nunique() - 1} learners, chosen on the rows it is tested on."
    )
    line(
        "The second learns from what was known at a date and predicts what came after, as a team "
        "would have to."
    )


def show_performance(rows: pd.DataFrame) -> None:
    """Every metric of every candidate, the deployed one first and with its intervals."""
    from ml.stacking import BASE_RATE

    deployed = rows["model_candidate"].iloc[0]
    others = [name for name in rows["candidate"].unique() if name not in (deployed, BASE_RATE)]
    by_candidate = {name: part.set_index("metric") for name, part in rows.groupby("candidate")}
    own, counts = by_candidate[deployed], rows.iloc[0]
    table(
        f"Backtest: {plural(counts['row_count'], 'prediction')} of "
        f"{plural(counts['user_count'], 'user')}, "
        f"{counts['churner_count']:,} of whom churned",
        {"": "left"} | dict.fromkeys([f"{deployed} ←", *others, "no skill"], "right"),
        # A sum of money is of the assumptions of its training, which `sparkify train` shows too.
        [
            (
                metric.replace("_", " "),
                interval(own.loc[metric]),
                *(f"{by_candidate[name].loc[metric, 'value']:.3f}" for name in others),
                f"{own.loc[metric, 'no_skill']:.3f}",
            )
            for metric in own.index.drop("expected_maximum_profit", errors="ignore")
        ],
        note="[95 % interval]",
    )


def latest_performance(spark: SparkSession, settings: Settings) -> pd.DataFrame:
    """The metrics of the last version trained, and in model_candidate the candidate it deployed.

    Raises:
        BadInput: nothing was trained yet, or the registry does not know what was.
    """
    name = settings.ml_table("model_performance")
    if not spark.catalog.tableExists(name) or spark.table(name).isEmpty():
        raise BadInput(f"no model was trained yet; {how_to_train(settings, settings.model)}")
    # Not a trial's under another name, nor of a run that was killed before it was registered.
    deployed = {
        each.run_id: each.candidate for each in registry(settings, settings.model).versions()
    }
    rows = spark.table(name).where(F.col("run_id").isin([*deployed])).toPandas()
    if rows.empty:
        raise BadInput(
            f"the registry has no {settings.model} of the runs in {name}; run `sparkify train`"
        )
    rows = rows[rows["trained_at"] == rows["trained_at"].max()]
    return rows.assign(model_candidate=deployed[rows["run_id"].iloc[0]])
