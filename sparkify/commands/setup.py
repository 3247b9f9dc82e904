"""What `sparkify setup` does: fetch the jars, and make what is made once."""

from dataclasses import replace

from sparkify.archive import make_archive
from sparkify.delta import POSTGRESQL, S3, WITHOUT_DELTA, has_jars, install_jars
from sparkify.errors import BadInput
from sparkify.metastore import check_needs, create_tables
from sparkify.session import check_java, java
from sparkify.settings import Settings
from sparkify.terminal import line, stage, warn


def set_up(settings: Settings, *, has_s3: bool, fast_start: bool) -> None:
    """Fetch the jars of Delta Lake, and of S3 if asked; make the metastore's tables and an archive.

    Raises:
        BadInput: there is no Java, a jar but Delta's cannot be had, or the metastore refuses.
    """
    check_java()
    # Of a client's settings the server that starts here has its own.
    settings = replace(settings, target="local")
    try:
        install_jars(settings.jars)
    except BadInput as error:
        warn(f"{error}: {WITHOUT_DELTA}")
    if has_s3:
        install_jars(settings.jars, S3)
    if settings.metastore_url:
        install_jars(settings.jars, POSTGRESQL)
        check_needs(settings)
        settings.export()
        with java(settings) as jvm:
            is_new = create_tables(jvm, settings)
        line(f"Metastore: {'its tables are made' if is_new else 'its tables are there'}.")
    # One that is there is made anew where it fits no more.
    if (fast_start or settings.class_archive.exists()) and has_jars(settings.jars):
        with stage("Keeping the classes of Spark in an archive"):
            make_archive(settings)
