"""What the usual notebook on this log takes in PySpark, beside `sparkify build` of the same log.

python -m benchmarks.notebooks [users ...]

The usual notebook reads the JSON with a schema that Spark infers, drops rows without a user, calls
churned who ever cancels, makes each feature by a `groupBy` of its own over the whole history of a
user, joins them, and goes on with one row a user. That is less than a build makes: no day but the
last, no window, nothing rejected or counted, and features that know the cancellation itself. Each
side is a process of its own.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from benchmarks.build import SPARKIFY, run
from benchmarks.figures import by_size

CHURN = "Cancellation Confirmation"
# Of each page how often a user saw it is a feature.
PAGES = (
    *("NextSong", "Thumbs Up", "Thumbs Down", "Add Friend", "Add to Playlist", "Roll Advert"),
    *("Error", "Help", "Home", "Settings", "Downgrade", "Upgrade"),
)


def main(*users: str) -> None:
    """Print both sides a size, and keep the figures in SPARKIFY_HOME/bench/notebooks.json."""
    by_size("notebooks", users, measured, tell)


def measured(users: int) -> dict:
    """Simulate a log, and have each side make its tables of it."""
    with tempfile.TemporaryDirectory() as scratch:
        log, home, out = (Path(scratch, name) for name in ("log", "home", "users.parquet"))
        environment = os.environ | {"SPARKIFY_HOME": str(home), "SPARKIFY_WAREHOUSE": ""}
        simulate = ("simulate", "--users", str(users), "--out", str(log))
        subprocess.run([SPARKIFY, *simulate], env=environment, check=True)
        events = log / "events"
        notebook = (sys.executable, "-m", "benchmarks.notebooks", "make", str(events), str(out))
        build = (SPARKIFY, "build", "--json", "--events", str(events))
        sides = {"the usual notebook": notebook, "sparkify build": build}
        costs = {name: run(*command, environment=environment) for name, command in sides.items()}
        return {
            "lines": json.loads(costs["sparkify build"][3])["data"]["lines"],
            "sides": {
                name: {"seconds": seconds, "cpu_s": cpu_s, "peak_bytes": peak}
                for name, (seconds, cpu_s, peak, _) in costs.items()
            },
        }


def make(events: str, out: str) -> None:
    """Write one row a user, as the usual notebook has it.

    With Spark's settings but for memory: in 1 GiB, the default, it does not end at 2,000 users.
    """
    settings = {"spark.ui.enabled": "false", "spark.driver.memory": "4g"}
    spark = SparkSession.builder.master("local[*]").config(map=settings).getOrCreate()
    features(spark.read.option("recursiveFileLookup", "true").json(events)).write.parquet(out)


def features(log: DataFrame) -> DataFrame:
    """One row a user: whether they ever cancel, and features of their whole history."""
    by_user = Window.partitionBy("userId")
    log = log.filter("userId <> ''").dropna(subset=["userId", "sessionId"])
    is_churn = (F.col("page") == CHURN).cast("int")
    log = log.withColumn("churned", F.max(is_churn).over(by_user)).cache()
    songs = log.filter("page = 'NextSong'")
    sessions = log.groupBy("userId", "sessionId").agg(
        ((F.max("ts") - F.min("ts")) / 60_000).alias("minutes"),
        F.count(F.when(F.col("page") == "NextSong", 1)).alias("songs"),
    )
    last = Window.partitionBy("userId").orderBy(F.desc("ts"))
    parts = [
        log.select("userId", "churned").dropDuplicates(),
        log.select("userId", "gender").dropDuplicates(["userId"]),
        log.withColumn("place", F.row_number().over(last))
        .filter("place = 1")
        .select("userId", "level"),
        log.groupBy("userId").agg(
            ((F.max("ts") - F.min("registration")) / 86_400_000).alias("lifetime_days")
        ),
        songs.groupBy("userId").agg(F.sum("length").alias("listened_s")),
        songs.groupBy("userId").agg(F.countDistinct("artist").alias("artists")),
        songs.groupBy("userId").agg(F.countDistinct("song", "artist").alias("titles")),
        sessions.groupBy("userId").agg(F.avg("minutes").alias("session_minutes")),
        sessions.groupBy("userId").agg(F.avg("songs").alias("songs_per_session")),
        log.groupBy("userId").agg(F.countDistinct("sessionId").alias("sessions")),
        *(
            log.filter(F.col("page") == page).groupBy("userId").agg(F.count("*").alias(page))
            for page in PAGES
        ),
    ]
    joined, *others = parts
    for part in others:
        joined = joined.join(part, "userId", "left")
    return joined.na.fill(0)


def tell(users: str, found: dict) -> None:
    """Print a line a side."""
    print(f"{int(users):,} users, {found['lines']:,} lines")
    for name, cost in found["sides"].items():
        print(
            f"  {name}: {cost['seconds']:.0f} s, {cost['cpu_s']:.0f} CPU s "
            f"({cost['cpu_s'] / found['lines'] * 1e6:.0f} per million lines), "
            f"{cost['peak_bytes'] / 2**30:.1f} GiB"
        )


if __name__ == "__main__":
    if sys.argv[1:2] == ["make"]:
        make(sys.argv[2], sys.argv[3])
    else:
        main(*sys.argv[1:])
