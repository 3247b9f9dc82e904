"""An archive of the classes of Spark, from which Java starts faster: class data sharing."""

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
    """Start Spark once and keep the classes that it loads, unless none came since the last time.

    Java does without an archive that fits neither it nor its class path any more.

    Raises:
        BadInput: Java made none.
    """
    archive = settings.class_archive
    arrived = max(jar.stat().st_mtime for jar in settings.jars.glob("*.jar"))
    if archive.exists() and archive.stat().st_mtime > arrived:
        return
    arriving = archive.with_suffix(".arriving")
    with scratch_folder() as scratch:
        made = scratch / archive.name
        said = run_spark(replace(settings, home=scratch, target="local", warehouse=None), made)
        if not made.exists():
            words = (said.strip() or "no output").splitlines()[-1].strip()
            raise BadInput(f"Java made no archive of classes ({words}); all works without it")
        try:
            shutil.copyfile(made, arriving)
            arriving.replace(archive)
        finally:
            arriving.unlink(missing_ok=True)


def run_spark(settings: Settings, archive: Path) -> str:
    """Run the statements in a Java that writes the archive as it ends; return what it says."""
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
            "SPARKIFY_WAREHOUSE": "",
        }
        conf = spark_settings(settings) | {"spark.sql.catalogImplementation": "hive"}
        done = subprocess.run(
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
    return done.stderr
