"""Who may come in to a server: its tokens, and the code that asks for them."""

import hashlib
import os
import re
import secrets
import shutil
import tempfile
from pathlib import Path

import pyspark
from py4j.protocol import Py4JJavaError

from sparkify.errors import BadInput, SparkifyError
from sparkify.session import java
from sparkify.settings import PROJECT, Settings
from sparkify.terminal import stage

WRITER, READER = "writer", "reader"
# What a header of HTTP carries unchanged.
TOKEN = re.compile(rb"[!-~]+")
CLASS = "sparkify.Gate"
SOURCE = PROJECT / "sparkify" / "java" / "Gate.java"


def make_tokens(settings: Settings) -> Path:
    """The folder with a file for each role's token, for its owner alone; made where missing.

    Raises:
        BadInput: a file that is there holds none. To an empty one Connect lets everybody in.
    """
    folder = settings.tokens
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    for role in (WRITER, READER):
        file = folder / role
        if not file.exists():
            # Written under another name first: a token is whole or not there.
            descriptor, name = tempfile.mkstemp(dir=folder)
            with os.fdopen(descriptor, "w") as new:
                new.write(secrets.token_urlsafe(32))
            os.replace(name, file)
        file.chmod(0o600)
        if not TOKEN.fullmatch(file.read_bytes()):
            raise BadInput(
                f"{file} holds no token, which is visible ASCII without blanks or line ends; "
                "delete it and start the server again, which makes one"
            )
    return folder


def compiled_gate(settings: Settings) -> Path:
    """The folder with the classes of `Gate.java`; compiled once for a version of it and of Spark.

    It lies beside the jars, or in the home where these are not the user's to write to.
    By Janino, the compiler that Spark brings along: where Java runs, `javac` may be missing.
    """
    version = hashlib.sha256(SOURCE.read_bytes() + pyspark.__version__.encode()).hexdigest()[:16]
    shared = settings.jars / "gate" / version
    is_writable = os.access(settings.jars, os.W_OK)
    classes = shared if shared.exists() or is_writable else settings.home / "gate" / version
    if classes.exists():
        return classes
    classes.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(dir=classes.parent))
    scratch.chmod(0o755)
    with stage("Compiling its gate"), java(settings) as jvm:
        compiler = jvm.org.codehaus.janino.CompilerFactory().newCompiler()
        compiler.setDestinationDirectory(jvm.java.io.File(str(scratch)), False)
        sources = jvm.java.lang.reflect.Array.newInstance(jvm.java.io.File("").getClass(), 1)
        sources[0] = jvm.java.io.File(str(SOURCE))
        try:
            compiler.compile(sources)
        except Py4JJavaError as error:  # it can be read only while Java runs
            reason = error.java_exception.getMessage()
            raise SparkifyError(f"{SOURCE.name} cannot be compiled: {reason}") from None
    try:
        scratch.rename(classes)
    except OSError:  # another server was faster
        shutil.rmtree(scratch)
    return classes
