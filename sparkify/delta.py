"""The Delta Lake jars: resolved once, into a folder beside the environment."""

import shutil
import subprocess
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from sparkify.errors import BadInput
from sparkify.interrupt import scratch_folder

COORDINATE = "io.delta:delta-spark_4.1_2.13:4.4.0"
WANTED = ("io.delta_*.jar", "io.unitycatalog_*.jar")
# What Spark ships already, in its own versions; without these the download is 14 MB, not 87.
EXCLUDED = (
    "com.fasterxml.jackson.core:jackson-databind",
    "com.fasterxml.jackson.datatype:jackson-datatype-jdk8",
    "com.github.luben:zstd-jni",
    "io.airlift:aircompressor",
    "org.apache.hadoop:hadoop-client-api",
    "org.apache.hadoop:hadoop-client-runtime",
    "org.apache.logging.log4j:log4j-api",
    "org.apache.logging.log4j:log4j-core",
    "org.apache.logging.log4j:log4j-slf4j2-impl",
    "org.apache.parquet:parquet-column",
    "org.apache.parquet:parquet-common",
    "org.apache.parquet:parquet-encoding",
    "org.apache.parquet:parquet-format-structures",
    "org.apache.parquet:parquet-hadoop",
    "org.apache.parquet:parquet-jackson",
    "org.locationtech.jts:jts-core",
    "org.roaringbitmap:RoaringBitmap",
    "org.xerial.snappy:snappy-java",
)


def has_jars(folder: Path) -> bool:
    """Whether `install_jars` has completed into this folder."""
    return any(folder.glob("io.delta_delta-spark_*.jar"))


def install_jars(folder: Path) -> None:
    """Put the jars into `folder`, all or none.

    They must lie on the driver's class path: `spark.jars.packages` breaks Delta in the Thrift
    server and in Spark Connect, which load classes in another way.

    Raises:
        BadInput: the jars cannot be had; the message ends with Ivy's own last words.
    """
    if has_jars(folder):
        return
    with resolved(COORDINATE, WANTED, EXCLUDED) as jars:
        arriving = folder.with_name(f"{folder.name}.arriving")
        shutil.rmtree(arriving, ignore_errors=True)
        arriving.mkdir(parents=True)
        for jar in jars:
            shutil.copy(jar, arriving)
        shutil.rmtree(folder, ignore_errors=True)
        arriving.rename(folder)


@contextmanager
def resolved(
    coordinate: str, wanted: Collection[str], excluded: Collection[str]
) -> Iterator[list[Path]]:
    """The jars of a package that have names as `wanted`, by Spark's own Ivy, for as long.

    Raises:
        BadInput: they cannot be had; the message ends with Ivy's own last words.
    """
    # Importing Spark takes a second that `--help` need not spend.
    import pyspark

    with scratch_folder() as scratch:
        script = scratch / "nothing.py"
        script.touch()
        resolved = subprocess.run(
            [
                str(Path(pyspark.__file__).parent / "bin" / "spark-submit"),
                *("--packages", coordinate, "--exclude-packages", ",".join(excluded)),
                *("--conf", f"spark.jars.ivy={scratch}", str(script)),
            ],
            capture_output=True,
            text=True,
        )
        jars = [jar for pattern in wanted for jar in (scratch / "jars").glob(pattern)]
        if resolved.returncode or not jars:
            words = (resolved.stderr.strip() or "no output").splitlines()[-1].strip()
            raise BadInput(f"{coordinate} could not be downloaded from Maven Central ({words})")
        yield jars
