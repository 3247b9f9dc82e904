"""What the usual notebook about this log takes, as the exercise is mostly solved.

python -m benchmarks.notebooks [users]

In a Spark session as Spark makes it: read the JSON and let Spark find the types, drop the rows of
nobody, make a table of each aggregate over all that is known of a user and join them one after the
other, split the users at random, and choose among three learners by F1 in a cross-validation. It
keeps nothing, tests nothing, and its features hold the label: see `ml.leaky`.
"""

import json
import os
import sys
import tempfile
import time
from functools import reduce
from pathlib import Path

from pyspark.ml import Pipeline
from pyspark.ml.classification import GBTClassifier, LogisticRegression, RandomForestClassifier
from pyspark.ml.evaluation import MulticlassClassificationEvaluator
from pyspark.ml.feature import StandardScaler, VectorAssembler
from pyspark.ml.tuning import CrossValidator, ParamGridBuilder
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from benchmarks.build import SPARKIFY, run
from benchmarks.figures import keep, last_time

LEARNERS = (LogisticRegression, RandomForestClassifier, GBTClassifier)
PAGES = ("NextSong", "Thumbs Up", "Thumbs Down", "Add to Playlist", "Add Friend", "Roll Advert")
PAGES += ("Home", "Error", "Help", "Downgrade")


def main(users: str = "2000") -> None:
    """Print a line, and keep the figures in SPARKIFY_HOME/bench/notebooks.json."""
    before = last_time("notebooks")
    with tempfile.TemporaryDirectory() as scratch:
        log, environment = Path(scratch, "log"), os.environ | {"SPARKIFY_HOME": scratch}
        environment["SPARKIFY_WAREHOUSE"] = ""
        run(SPARKIFY, "simulate", "--users", users, "--out", str(log), environment=environment)
        itself = (sys.executable, "-m", "benchmarks.notebooks", "--log", str(log / "events"))
        seconds, cpu_s, peak_bytes, said = run(*itself, environment=environment)
    found = {"seconds": seconds, "cpu_s": cpu_s, "peak_bytes": peak_bytes} | json.loads(said)
    print(told(users, found))
    if users in before:
        print(f"  the last time: {told(users, before[users])}")
    keep("notebooks", {users: found})


def notebook(log: str) -> None:
    """Print the seconds until there is a table and until there are models, and the best F1."""
    spark = SparkSession.builder.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    started = time.perf_counter()
    table = features(spark.read.json(log)).persist()
    rows, made = table.count(), time.perf_counter()
    train, test = table.randomSplit([0.8, 0.2], seed=42)
    f1 = max(f1_of(learner, train, test) for learner in LEARNERS)
    found = {"rows": rows, "table_s": made - started, "models_s": time.perf_counter() - made}
    print(json.dumps(found | {"f1": f1}))


def features(events: DataFrame) -> DataFrame:
    """A row a user: aggregates over the whole history, and whether it ends with a cancellation."""
    known = events.where("userId is not null and userId != '' and sessionId is not null").persist()
    by_user = known.groupBy("userId")
    songs = known.where("page = 'NextSong'")
    moment = F.timestamp_millis("ts")
    has_left = F.max((F.col("page") == "Cancellation Confirmation").cast("int"))
    tables = [
        by_user.agg(has_left.alias("label")),
        by_user.agg(F.max((F.col("gender") == "M").cast("int")).alias("is_male")),
        by_user.agg(F.max_by(F.col("level") == "paid", "ts").cast("int").alias("is_paid")),
        by_user.agg(((F.max("ts") - F.min("registration")) / 86_400_000).alias("tenure_days")),
        by_user.agg(F.countDistinct("sessionId").alias("sessions")),
        by_user.agg(F.countDistinct(F.to_date(moment)).alias("days")),
        songs.groupBy("userId").agg(F.countDistinct("artist").alias("artists")),
        songs.groupBy("userId").agg(F.sum("length").alias("listened_s")),
        known.groupBy("userId", "sessionId")
        .agg((F.max("ts") - F.min("ts")).alias("ms"))
        .groupBy("userId")
        .agg(F.avg("ms").alias("session_ms")),
    ]
    for page in PAGES:
        of_page = known.where(F.col("page") == page).groupBy("userId")
        tables.append(of_page.agg(F.count("*").alias(page.lower().replace(" ", "_"))))
    return reduce(lambda left, right: left.join(right, "userId", "left"), tables).fillna(0)


def f1_of(learner: type, train: DataFrame, test: DataFrame) -> float:
    """The weighted F1 on users held back, of the best of nine points in three folds."""
    columns = [column for column in train.columns if column not in ("userId", "label")]
    model = learner()
    grid = ParamGridBuilder()
    if learner is LogisticRegression:
        grid.addGrid(model.regParam, [0.0, 0.01, 0.1]).addGrid(model.elasticNetParam, [0, 0.5, 1])
    else:
        grid.addGrid(model.maxDepth, [3, 5, 7]).addGrid(model.minInstancesPerNode, [1, 5, 10])
    judge = MulticlassClassificationEvaluator(metricName="f1")
    steps = [
        VectorAssembler(inputCols=columns, outputCol="assembled"),
        StandardScaler(inputCol="assembled", outputCol="features"),
        CrossValidator(
            estimator=model, estimatorParamMaps=grid.build(), evaluator=judge, numFolds=3, seed=42
        ),
    ]
    return judge.evaluate(Pipeline(stages=steps).fit(train).transform(test))


def told(users: str, found: dict) -> str:
    """One line."""
    return (
        f"{int(users):,} users: {found['seconds']:.0f} s, of them {found['table_s']:.0f} the table "
        f"and {found['models_s']:.0f} the models; {found['cpu_s']:.0f} CPU s, "
        f"{found['peak_bytes'] / 2**30:.1f} GiB; F1 {found['f1']:.2f}"
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--log"]:
        notebook(sys.argv[2])
    else:
        main(*sys.argv[1:])
