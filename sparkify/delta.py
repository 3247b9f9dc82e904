"""The jars beside Spark's own: resolved once, into a folder beside the environment."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from sparkify.errors import BadInput
from sparkify.interrupt import scratch_folder

WITHOUT_DELTA = (
    "runs go to plain Parquet tables, which are not replaced atomically and have no history; "
    "`sparkify setup` tries again"
)


@dataclass(frozen=True)
class Jars:
    """What is resolved, what of it is kept, and the file that is there once all is."""

    name: str
    coordinates: tuple[str, ...]
    excluded: tuple[str, ...]
    wanted: tuple[str, ...]
    last: str


DELTA = Jars(
    name="Delta Lake",
    coordinates=("io.delta:delta-spark_4.1_2.13:4.4.0",),
    # What Spark ships already, in its own versions; without these the download is 14 MB, not 87.
    excluded=(
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
    ),
    wanted=("io.delta_*.jar", "io.unitycatalog_*.jar"),
    last="io.delta_delta-spark_*.jar",
)
# Of Spark's Hadoop, and of the SDK that this was built with: what S3A uses of it has 13 MB, the
# bundle of all of Amazon's services 600.
S3 = Jars(
    name="S3",
    coordinates=(
        "org.apache.hadoop:hadoop-aws:3.4.2",
        "software.amazon.awssdk:s3-transfer-manager:2.29.52",
        "software.amazon.awssdk:sts:2.29.52",
    ),
    excluded=(
        "commons-codec:commons-codec",
        "commons-logging:commons-logging",
        "io.netty:*",
        "org.apache.hadoop:hadoop-client-api",
        "org.apache.hadoop:hadoop-client-runtime",
        "org.apache.httpcomponents:*",
        "org.slf4j:slf4j-api",
        "software.amazon.awssdk:bundle",
    ),
    wanted=("software.amazon.*.jar", "org.*.jar"),
    last="org.apache.hadoop_hadoop-aws-*.jar",
)
POSTGRESQL = Jars(
    name="PostgreSQL",
    coordinates=("org.postgresql:postgresql:42.7.8",),
    excluded=("org.checkerframework:checker-qual",),
    wanted=("org.postgresql_*.jar",),
    last="*postgresql-*.jar",
)


def has_jars(folder: Path, jars: Jars = DELTA) -> bool:
    """Whether `install_jars` has completed into this folder."""
    return any(folder.glob(jars.last))


def install_jars(folder: Path, jars: Jars = DELTA) -> None:
    """Resolve the jars with Spark's own Ivy and put them into `folder`, beside what is there.

    They must lie on the driver's class path: `spark.jars.packages` breaks Delta in the Thrift
    server and in Spark Connect, which load classes in another way.

    Raises:
        BadInput: the jars cannot be had; the message ends with Ivy's own last words.
    """
    if has_jars(folder, jars):
        return
    # Importing Spark takes a second that `--help` need not spend.
    import pyspark

    with scratch_folder() as scratch:
        script = scratch / "nothing.py"
        script.touch()
        resolved = subprocess.run(
            [
                str(Path(pyspark.__file__).parent / "bin" / "spark-submit"),
                *("--packages", ",".join(jars.coordinates)),
                *("--exclude-packages", ",".join(jars.excluded)),
                *("--conf", f"spark.jars.ivy={scratch}", str(script)),
            ],
            capture_output=True,
            text=True,
        )
        found = [jar for pattern in jars.wanted for jar in (scratch / "jars").glob(pattern)]
        if resolved.returncode or not found:
            words = (resolved.stderr.strip() or "no output").splitlines()[-1].strip()
            raise BadInput(
                f"the {jars.name} jars could not be downloaded from Maven Central ({words})"
            )
        folder.mkdir(parents=True, exist_ok=True)
        # Under its name each is there as a whole, and the last one when all others are.
        for jar in sorted(found, key=lambda jar: jar.match(jars.last)):
            arriving = folder / f"{jar.name}.arriving"
            shutil.copy(jar, arriving)
            arriving.rename(folder / jar.name)
