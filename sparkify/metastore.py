"""A metastore in PostgreSQL, which several drivers share: its driver, its tables, its refusals."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit
from zipfile import ZipFile

import pyspark
from py4j.java_gateway import JVMView
from py4j.protocol import Py4JError, Py4JJavaError

from sparkify.delta import POSTGRESQL, has_jars
from sparkify.errors import BadInput, SparkifyError
from sparkify.settings import Settings
from sparkify.warehouse import real

DRIVER = "org.postgresql.Driver"
# Of the tables that Spark's own Hive reads and writes.
HIVE_SCHEMA = "2.3.0"
MODEL = "org.apache.hadoop.hive.metastore.model"
# Any number: whoever makes the tables holds the lock of this one.
LOCK = 5_267_230
ANSWER_S, LOCK_S = 10, 60
# What a server says, by the beginning of its SQLSTATE. Its own words name the user.
REASONS = {
    "08": "does not answer; start it, or mend SPARKIFY_METASTORE_URL",
    "28": "does not take this user and password; mend SPARKIFY_METASTORE_USER or "
    "SPARKIFY_METASTORE_PASSWORD",
    "3D": "has no such database; create it, or mend SPARKIFY_METASTORE_URL",
    "42501": "does not let this user read its tables; grant the user all rights on them",
    "53": "has no room for another connection; raise its max_connections",
    "55P03": f"is being set up by another process for {LOCK_S} s; try again when that has ended",
    "57": "is starting or ending; try again",
}


def check_needs(settings: Settings) -> None:
    """Refuse what is missing before Java is started.

    Raises:
        BadInput: it names what.
    """
    if not all(who_logs_in()):
        raise BadInput(
            "SPARKIFY_METASTORE_URL is set, and SPARKIFY_METASTORE_USER or "
            "SPARKIFY_METASTORE_PASSWORD is not; set both"
        )
    if not has_jars(settings.jars, POSTGRESQL):
        raise BadInput(
            f"no JDBC driver of PostgreSQL in {settings.jars}; run `sparkify setup`, which fetches "
            "it where SPARKIFY_METASTORE_URL is set"
        )


def check_metastore(jvm: JVMView, settings: Settings, warehouse: str) -> None:
    """Refuse a metastore that this process could not use, before Hive tries for a minute.

    Raises:
        BadInput: it is out of reach, has no tables, or the schema's files lie elsewhere.
    """
    with connected(jvm, settings) as database:
        version = version_of(database)
        if version is None:
            raise BadInput(
                "the database of SPARKIFY_METASTORE_URL has no tables of a metastore yet; run "
                "`sparkify setup`, which makes them"
            )
        if version != HIVE_SCHEMA:
            raise BadInput(
                f"the metastore of SPARKIFY_METASTORE_URL has the tables of Hive {version}, and "
                f"Spark those of {HIVE_SCHEMA}; name another database"
            )
        locations = query(
            database,
            'select "DB_LOCATION_URI" from "DBS" where "NAME" in (?, ?, ?)',
            *(settings.schema + kind for kind in ("", "_raw", "_ml")),
        )
    for location in locations:
        found, _, _ = location.rpartition("/")
        # Hive has the tables of the schema `default` in the warehouse itself.
        if real(warehouse) not in (real(found), real(location)):
            raise BadInput(
                f"the tables of schema {settings.schema} lie in {real(found)}, and this "
                f"process has its own in {real(warehouse)}; all who share them need the same "
                "SPARKIFY_HOME and SPARKIFY_WAREHOUSE: set them to those, or SPARKIFY_SCHEMA to "
                "another name"
            )


def create_tables(jvm: JVMView, settings: Settings) -> bool:
    """Make the tables of a metastore; whether there were none before.

    DataNucleus, by which Hive reads and writes them, makes them as it would for Derby, and all in
    one transaction. The version is written last: without it nobody takes the metastore for whole,
    and the next call does the rest. A second process waits for the first.

    Raises:
        BadInput: the database is out of reach, or its user may not create tables.
    """
    with connected(jvm, settings) as database:
        query(database, f"select pg_advisory_lock({LOCK})::text")
        if version_of(database) is not None:
            return False
        may_create = "has_schema_privilege(current_schema(), 'create')"
        if query(database, f"select coalesce({may_create}, false)::text") != ["true"]:
            raise BadInput(
                "the user of SPARKIFY_METASTORE_USER may not create tables in the database of "
                "SPARKIFY_METASTORE_URL; make the user its owner: alter database … owner to …"
            )
        create_by_datanucleus(jvm, settings)
        statement = database.createStatement()
        statement.execute(
            'begin; create table if not exists "SEQUENCE_TABLE" '
            '("SEQUENCE_NAME" varchar(255) primary key, "NEXT_VAL" bigint not null); '
            'insert into "VERSION" ("VER_ID", "SCHEMA_VERSION", "VERSION_COMMENT") '
            f"values (1, '{HIVE_SCHEMA}', 'made by sparkify setup'); commit"
        )
    return True


def create_by_datanucleus(jvm: JVMView, settings: Settings) -> None:
    """Make a table for each class of Hive's metastore, with indices and keys, where missing."""
    (jar,) = (Path(pyspark.__file__).parent / "jars").glob("hive-metastore-*.jar")
    model = ZipFile(jar).read("package.jdo").decode()
    user, password = who_logs_in()
    classes = jvm.java.util.HashSet()
    for name in re.findall(r'<class\s+name="(\w+)"', model):
        classes.add(f"{MODEL}.{name}")
    options = properties(
        jvm,
        {
            "javax.jdo.PersistenceManagerFactoryClass": (
                "org.datanucleus.api.jdo.JDOPersistenceManagerFactory"
            ),
            "javax.jdo.option.ConnectionURL": settings.metastore_url,
            "javax.jdo.option.ConnectionDriverName": DRIVER,
            "javax.jdo.option.ConnectionUserName": user,
            "javax.jdo.option.ConnectionPassword": password,
            "datanucleus.connectionPoolingType": "None",
            "datanucleus.schema.autoCreateAll": "true",
            # As Hive has them: they decide the names of columns.
            "datanucleus.identifierFactory": "datanucleus1",
            "datanucleus.rdbms.useLegacyNativeValueStrategy": "true",
        },
    )
    factory = jvm.javax.jdo.JDOHelper.getPersistenceManagerFactory(options)
    try:
        store = factory.getNucleusContext().getStoreManager()
        store.createSchemaForClasses(classes, jvm.java.util.Properties())
    finally:
        factory.close()


@contextmanager
def connected(jvm: JVMView, settings: Settings) -> Iterator:
    """A JDBC connection, as Hive opens it; what the server refuses is told in one line.

    Raises:
        BadInput: it names the cause and the remedy, and no user.
    """
    user, password = who_logs_in()
    login = {
        "user": user,
        "password": password,
        "connectTimeout": str(ANSWER_S),
        "loginTimeout": str(ANSWER_S),
        "options": f"-c lock_timeout={LOCK_S}s",
    }
    try:
        driver = jvm.org.postgresql.Driver()
        database = driver.connect(settings.metastore_url, properties(jvm, login))
        try:
            yield database
        finally:
            database.close()
    except Py4JJavaError as error:
        state = state_of(error)
        reason = next((said for known, said in REASONS.items() if state.startswith(known)), None)
        place = urlsplit(settings.metastore_url.removeprefix("jdbc:")).netloc
        # Not with its cause: its text may name the user, and can be read only while Java runs.
        if reason:
            raise BadInput(f"the PostgreSQL server at {place} {reason}") from None
        said = " ".join(error.java_exception.toString().split())
        raise SparkifyError(f"the metastore at {place} cannot be used: {said}") from None


def state_of(error: Py4JJavaError) -> str:
    """The SQLSTATE of what a server said; empty where something else went wrong."""
    try:
        return error.java_exception.getSQLState() or ""
    except Py4JError:  # it has none
        return ""


def who_logs_in() -> tuple[str, str]:
    """User and password; Hive reads them from the environment of Java: see profiles.yml."""
    return (
        os.environ.get("SPARKIFY_METASTORE_USER", ""),
        os.environ.get("SPARKIFY_METASTORE_PASSWORD", ""),
    )


def properties(jvm: JVMView, values: dict[str, str]):
    """Java's properties."""
    found = jvm.java.util.Properties()
    for name, value in values.items():
        found.setProperty(name, value)
    return found


def query(database, statement: str, *arguments: str) -> list[str]:
    """The first column of what a query finds."""
    prepared = database.prepareStatement(statement)
    for place, value in enumerate(arguments, start=1):
        prepared.setString(place, value)
    rows, found = prepared.executeQuery(), []
    while rows.next():
        found.append(rows.getString(1))
    return found


def version_of(database) -> str | None:
    """The version of Hive that the tables are of; None where there are none, or not all."""
    if query(database, "select to_regclass('\"VERSION\"')::text") == [None]:
        return None
    return next(iter(query(database, 'select "SCHEMA_VERSION" from "VERSION"')), None)
