"""Where the tables lie: in a folder of this machine, or wherever Hadoop has a file system for."""

import os
import shutil
from collections.abc import Mapping
from urllib.parse import unquote, urlsplit

from py4j.java_gateway import JVMView
from py4j.protocol import Py4JJavaError
from pyspark.sql import SparkSession

from sparkify.delta import S3, has_jars
from sparkify.errors import BadInput, WrongUse
from sparkify.settings import PROJECT, Settings

# What `sparkify erase` writes a table of plain Parquet anew from.
COPY = "__erasing"
# What looks first does not try for long.
IMPATIENT = {
    "fs.s3a.attempts.maximum": "1",
    "fs.s3a.retry.limit": "0",
    "fs.s3a.connection.establish.timeout": "15s",
    "fs.s3a.connection.timeout": "15s",
    "ipc.client.connect.max.retries": "1",
}


def check_warehouse(settings: Settings) -> None:
    """Refuse what can be known before anything starts.

    Raises:
        WrongUse: plain Parquet tables are to lie elsewhere than below home, or several drivers are
            to write to S3.
        BadInput: there are no jars for S3.
    """
    if settings.warehouse and settings.table_format != "delta":
        raise WrongUse(
            "SPARKIFY_WAREHOUSE is for Delta tables: unset it, or choose another target than "
            f"{settings.target}"
        )
    if not (settings.warehouse or "").startswith("s3a://"):
        return
    if settings.metastore_url:
        raise WrongUse(
            "SPARKIFY_METASTORE_URL lets several drivers write, and on S3 they would lose what the "
            "other wrote: unset it, or let SPARKIFY_WAREHOUSE be a folder that they share"
        )
    if not has_jars(settings.jars, S3):
        raise BadInput(f"no jars for S3 in {settings.jars}; run `sparkify setup --with s3`")


def check_place(jvm: JVMView, settings: Settings, conf: Mapping[str, str]) -> None:
    """Look whether the place of the tables, which is not on this machine, can be reached.

    conf: the settings of the session that is to come.

    Raises:
        BadInput: it says what the place, or Hadoop, answered.
    """
    spark = jvm.org.apache.spark.SparkConf(False)
    for name, value in conf.items():
        spark.set(name, value)
    hadoop = jvm.org.apache.spark.deploy.SparkHadoopUtil.get().newConfiguration(spark)
    for name, value in IMPATIENT.items():
        hadoop.set(name, value)
    path = jvm.org.apache.hadoop.fs.Path(settings.warehouse)
    try:
        # Not the one that the session will have, which is more patient.
        files = jvm.org.apache.hadoop.fs.FileSystem.newInstance(path.toUri(), hadoop)
        files.listStatus(path)
    except Py4JJavaError as error:
        if "FileNotFoundException" not in error.java_exception.getClass().getName():
            raise BadInput(why_out_of_reach(settings, error.java_exception)) from error


def why_out_of_reach(settings: Settings, error) -> str:
    """What Java answered, and what may be wrong."""
    while error.getCause() is not None:
        error = error.getCause()
    # Of a service the request's number follows.
    reason = (error.getMessage() or error.getClass().getSimpleName()).split(" (Service:")[0]
    said = " ".join(reason.split()).rstrip(".")
    scheme = urlsplit(settings.warehouse).scheme
    if "No FileSystem for scheme" in said or "ClassNotFound" in error.getClass().getName():
        remedy = f"lay the jar of the file system of {scheme}:// into {settings.jars}"
    elif scheme == "s3a":
        remedy = (
            "see whether the bucket is there, and whether AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY "
            "and, for a server that is not Amazon's, AWS_ENDPOINT_URL are right"
        )
    else:
        remedy = "see whether it is there and lets you in"
    return f"SPARKIFY_WAREHOUSE {settings.warehouse} is out of reach: {said}; {remedy}"


def check_schemas(spark: SparkSession, settings: Settings) -> None:
    """Refuse a schema that the catalogue has elsewhere than where new tables would go.

    The macro check_warehouse says the same of a bare `dbt run`. A server that is not of this
    project has its own rules.

    Raises:
        WrongUse: it names both places.
    """
    if spark.conf.get("spark.sparkify.warehouse", None) is None:
        return
    warehouse = spark.conf.get("spark.sql.warehouse.dir")
    for schema in (settings.schema, f"{settings.schema}_raw", f"{settings.schema}_ml"):
        if not spark.catalog.databaseExists(schema):
            continue
        location = spark.catalog.getDatabase(schema).locationUri
        # Hive has the tables of this one beside the folders of the others.
        place = warehouse if schema == "default" else f"{warehouse}/{schema}.db"
        if real(location) != real(place):
            raise WrongUse(
                f"the tables of {schema} lie in {unquote(location)}, and new ones would lie in "
                f"{warehouse}: set SPARKIFY_WAREHOUSE as it was, or SPARKIFY_HOME to a new folder"
            )


def remove_leftovers(spark: SparkSession, settings: Settings) -> None:
    """Take away files that a killed run left where a table of plain Parquet will lie.

    Such as a model's, or what `sparkify erase` copies: Spark would refuse to make it. A Delta table
    is written whole or not at all.
    """
    models = {file.stem for file in (PROJECT / "models").rglob("*.sql")}
    for schema in (settings.schema, f"{settings.schema}_ml"):
        for folder in (settings.home / "parquet" / "warehouse" / f"{schema}.db").glob("*/"):
            is_ours = folder.name in models or folder.name.endswith(COPY)
            if is_ours and not spark.catalog.tableExists(f"{schema}.{folder.name}"):
                shutil.rmtree(folder)


def real(place: str) -> str:
    """A place by one name: a folder whatever links lead to it, an address without escapes."""
    scheme, _, path, *_ = urlsplit(place)
    if scheme == "file":
        return os.path.realpath(unquote(path))
    return unquote(place).rstrip("/") if scheme else os.path.realpath(place)
