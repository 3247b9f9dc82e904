"""An archive of the classes of Spark, from which Java starts faster: class data sharing."""

import json
import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

from sparkify.engine import TINY
from sparkify.errors import BadInput
from sparkify.interrupt import scratch_folder
from sparkify.settings import Settings

# What every command does: a table of Delta in Hive's catalogue, written and read again.
STATEMENTS = """
    create schema warm;
    create table warm.numbers using delta as select id, id % 7 as rest from range(1000);
    select rest, count(*) from warm.numbers group by rest order by rest;
"""


def make_archive(settings: Settings) -> None:
    """Start Spark once and keep the classes that it loads, unless that was done with the same ones.

    Java does without an archive that fits neither it nor its class path any more.

    Raises:
        BadInput: Java made none.
    """
    archive = settings.class_archive
    kept, wanted = archive.with_suffix(".json"), classes_of(settings.jars)
    if archive.exists() and kept.exists() and kept.read_text() == wanted:
        return
    arriving = archive.with_suffix(".arriving")
    with scratch_folder() as scratch:
        made = scratch / archive.name
        done = run_spark(replace(settings, home=scratch, target="local", warehouse=None), made)
        if done.returncode or not made.exists():
            words = (done.stderr.strip() or "no output").splitlines()[-1].strip()
            raise BadInput(f"Java made no archive of classes ({words}); all works without it")
        try:
            shutil.copyfile(made, arriving)
            kept.unlink(missing_ok=True)
            arriving.replace(archive)
            kept.write_text(wanted)
        finally:
            arriving.unlink(missing_ok=True)


def classes_of(jars: Path) -> str:
    """What an archive is made of: Java, Spark, and the jars beside it."""
    import pyspark

    java = Path(os.environ["JAVA_HOME"], "bin", "java") if os.environ.get("JAVA_HOME") else "java"
    said = subprocess.run([java, "-version"], capture_output=True, text=True).stderr
    found = sorted((jar.name, jar.stat().st_size) for jar in jars.glob("*.jar"))
    return json.dumps([said, pyspark.__version__, str(jars), found])


def run_spark(settings: Settings, archive: Path) -> subprocess.CompletedProcess:
    """Run the statements in a Java that writes the archive as it ends."""
    # Importing Spark takes a second that `--help` need not spend.
    import pyspark

    from sparkify.session import spark_settings

    before = dict(os.environ)
    try:
        settings.export()
        settings.logs.mkdir()
        os.environ |= TINY | {
            "SPARKIFY_JAVA_OPTIONS": f"-XX:TieredStopAtLevel=1 -XX:ArchiveClassesAtExit={archive}",
            "SPARKIFY_CLASS_SHARING": "",
            "SPARKIFY_METASTORE_URL": "",
            "SPARK_MASTER": "local[*]",
        }
        os.environ.pop("SPARK_REMOTE", None)
        conf = spark_settings(settings) | {"spark.sql.catalogImplementation": "hive"}
        return subprocess.run(
            [
                str(Path(pyspark.__file__).parent / "bin" / "spark-submit"),
                *("--class", "org.apache.spark.sql.hive.thriftserver.SparkSQLCLIDriver"),
                *(word for name, value in conf.items() for word in ("--conf", f"{name}={value}")),
                *("spark-internal", "-e", STATEMENTS),
            ],
            capture_output=True,
            text=True,
        )
    finally:
        os.environ.clear()
        os.environ.update(before)
