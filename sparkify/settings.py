"""Where a run keeps its things, read once from the environment."""

import codecs
import json
import locale
import os
import re
import shlex
import shutil
import stat
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from sparkify.errors import BadInput, WrongUse
from sparkify.identity import key_digest, user_key

if TYPE_CHECKING:  # what a command does not need it does not import
    from ml.economics import Offer

PROJECT = Path(__file__).resolve().parents[1]
DEFAULT_HOME, DEFAULT_SCHEMA = PROJECT / ".sparkify", "sparkify"
# Macros hold the first against the key that Spark has; the value of what is named as the second is
# dbt keeps out of its logs.
KEY_DIGEST = "DBT_ENV_CUSTOM_ENV_SPARKIFY_KEY_DIGEST"
SECRET_KEY = "DBT_ENV_SECRET_SPARKIFY_USER_KEY"
# The vars of a command, for the processes that it starts.
VARS = "SPARKIFY_VARS_OF_PARENT"
# What Java or Spark would refuse, long after it could be known: a pattern, and what it asks for.
FORMS = {
    "SPARKIFY_DRIVER_MEMORY": (r"[1-9]\d*[kmgtKMGT]", "a size such as 4g"),
    "SPARKIFY_SHUFFLE_PARTITIONS": (r"[1-9]\d*", "a whole number from 1"),
    "SPARKIFY_CODEGEN": (r"NO_CODEGEN|ROWS|FALLBACK|CODEGEN_ONLY", "NO_CODEGEN, ROWS or FALLBACK"),
    "SPARKIFY_LOG_LEVEL": (r"TRACE|DEBUG|INFO|WARN|ERROR|FATAL|OFF|ALL", "such as WARN or ERROR"),
    "SPARKIFY_SERVER_START_S": (r"\d+(\.\d+)?", "a number of seconds"),
    "SPARKIFY_USER_KEY": (
        r"[0-9a-f]{64}|",
        "64 hexadecimal digits in lower case, such as `openssl rand -hex 32` prints",
    ),
    "SPARKIFY_HOME": (
        r"(?![A-Za-z][\w+.-]*://)[^\"\n]*",
        "a folder of this machine, without quotation marks or line ends in its name (the tables "
        "may lie elsewhere: SPARKIFY_WAREHOUSE)",
    ),
    # Hadoop knows S3 by this name only; Hive makes no schema in a bucket that has no folder.
    "SPARKIFY_WAREHOUSE": (
        r"(?!\w+://[^/]*:(?!\d+(/|$)))(?!s3a://[^/]*:)(?!s3n?://)(?!file://[^/])(?!\w+://[^/]*/*$)"
        r"(?!(file:)?/+$).*",
        "a folder or the address of one, such as s3a://bucket/folder, without a password",
    ),
}

# With less a disk is full: files that could not be written to their end have been taken away.
FULL_BYTES = 2**20
# What a text names of this project's commands, but for those that are of no target.
COMMAND = re.compile("`sparkify (?!serve|setup|--target)")
NOT_WRITABLE = "nothing can be written to {}; name another folder with SPARKIFY_HOME"


@dataclass(frozen=True)
class Settings:
    """Paths are absolute; `target` names an output of profiles/profiles.yml.

    schema: of the tables; beside it are those of the same name and _raw (the log) or _ml.
    warehouse: where the tables lie, a path or a URI; None below home.
    overrides: dbt vars of this call (`--vars`), by name.
    """

    home: Path
    jars: Path
    target: str
    schema: str = DEFAULT_SCHEMA
    warehouse: str | None = None
    overrides: Mapping[str, object] = field(default_factory=dict)

    @classmethod
    def from_environment(
        cls, *, target: str | None = None, overrides: Mapping[str, object] | None = None
    ) -> "Settings":
        """Read SPARKIFY_HOME, _JARS, _TARGET, _SCHEMA and _WAREHOUSE.

        overrides: without, those that a command handed to this process.

        Raises:
            WrongUse: a schema cannot have that name.
        """
        if overrides is None:
            overrides = read_vars(os.environ.get(VARS, ""))
        return cls(
            overrides=overrides,
            home=folder_of("SPARKIFY_HOME", DEFAULT_HOME),
            jars=folder_of("SPARKIFY_JARS", Path(sys.prefix) / "share/sparkify/jars"),
            target=target or os.environ.get("SPARKIFY_TARGET", "local"),
            schema=schema_name(os.environ.get("SPARKIFY_SCHEMA", DEFAULT_SCHEMA)),
            warehouse=place_of("SPARKIFY_WAREHOUSE"),
        )

    def check(self) -> None:
        """Refuse what could not work, before anything is started.

        Raises:
            WrongUse: there is no such target, or a setting of the environment has no meaning.
        """
        profiles = yaml.safe_load((PROJECT / "profiles" / "profiles.yml").read_text())
        targets = profiles["sparkify"]["outputs"]
        if self.target not in targets:
            raise WrongUse(f"no target {self.target!r}; profiles.yml has {', '.join(targets)}")
        for name, (form, wanted) in FORMS.items():
            given = os.environ.get(name)
            if given is None:
                continue
            # Around the name of a folder blanks are left out.
            is_place = name in ("SPARKIFY_HOME", "SPARKIFY_WAREHOUSE")
            if not re.fullmatch(form, given.strip() if is_place else given):
                is_secret = name == "SPARKIFY_USER_KEY" or re.search("@|://[^/]*:", given)
                said = "set to something else" if is_secret else repr(given)
                raise WrongUse(f"{name} is {said}: it has to be {wanted}, or not set")
        self.check_metastore_url()
        places = {"SPARKIFY_HOME": self.home, "SPARKIFY_WAREHOUSE": self.local_warehouse}
        for name, place in places.items():
            if place is None:
                continue
            above = next(each for each in (place, *place.parents) if each.exists())
            if not above.is_dir():
                raise WrongUse(f"{name} is {str(place)!r}: {above} is a file; name a folder")

    def check_metastore_url(self) -> None:
        """Refuse an address with a password in it, which stands in command lines, or of nothing.

        Raises:
            WrongUse: it does not show the address, for the password's sake.
        """
        url = os.environ.get("SPARKIFY_METASTORE_URL", "").strip()
        if re.search(r"@|[?&](user|password|sslpassword)=", url, re.I):
            raise WrongUse(
                "SPARKIFY_METASTORE_URL holds a user or a password, which would stand in command "
                "lines: leave them out, and set SPARKIFY_METASTORE_USER and "
                "SPARKIFY_METASTORE_PASSWORD"
            )
        if url and not re.fullmatch(r"jdbc:postgresql://[^\s/?]+/[^\s/?]+(\?\S*)?", url):
            raise WrongUse(
                "SPARKIFY_METASTORE_URL has to be an address such as "
                "jdbc:postgresql://host:5432/metastore, or not set"
            )
        if url and self.target == "parquet":
            raise WrongUse(
                "SPARKIFY_METASTORE_URL is set, and the target parquet has a metastore of its own: "
                "unset it, or use another target"
            )

    def export(self) -> None:
        """Make the profile resolve to the same places, whatever the working folder.

        Raises:
            BadInput: nothing can be written there.
        """
        self.make_home()
        os.environ["SPARK_LOCAL_DIRS"] = private_scratch()
        os.environ["SPARKIFY_HOME"] = str(self.home)
        os.environ["SPARKIFY_JARS"] = str(self.jars)
        os.environ["SPARKIFY_TARGET"] = self.target
        os.environ["SPARKIFY_SCHEMA"] = self.schema
        os.environ["SPARKIFY_WAREHOUSE"] = self.warehouse or ""
        os.environ.setdefault("DBT_PROFILES_DIR", str(PROJECT / "profiles"))
        os.environ.setdefault("DBT_PROJECT_DIR", str(PROJECT))
        os.environ.setdefault("DBT_TARGET_PATH", str(self.home / "dbt"))
        os.environ.setdefault("DBT_LOG_PATH", str(self.logs))
        # It fits a class path that has the jars.
        is_fast = self.table_format == "delta" and self.class_archive.exists()
        option = f'-XX:SharedArchiveFile="{self.class_archive}"' if is_fast else ""
        os.environ["SPARKIFY_CLASS_SHARING"] = option
        os.environ[KEY_DIGEST] = key_digest()
        os.environ[SECRET_KEY] = user_key()
        # Without it Spark's Python workers are whatever `python3` the path finds first.
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
        # Java has the names of files in the encoding of the locale, and passes over all others.
        if codecs.lookup(locale.getencoding()).name != "utf-8":
            os.environ["LC_ALL"] = "C.UTF-8"
        # Only this machine reads its own metrics.
        os.environ.setdefault("DO_NOT_TRACK", "1")
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        # gRPC tells by the line of each certificate that it does not trust.
        os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
        # Python's janitor of what processes share says so when one leaves without tidying up.
        quiet = "ignore:resource_tracker"
        given = os.environ.get("PYTHONWARNINGS", quiet)
        os.environ["PYTHONWARNINGS"] = given if quiet in given else f"{given},{quiet}"

    def make_home(self) -> None:
        """Make the home for its owner alone: what is in it is of people. One that is there stays.

        Raises:
            BadInput: nothing can be written there.
        """
        try:
            self.home.parent.mkdir(parents=True, exist_ok=True)
            self.home.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise BadInput(f"{NOT_WRITABLE.format(self.home)}: {error.strerror}") from error
        if not os.access(self.home, os.W_OK):
            raise BadInput(NOT_WRITABLE.format(self.home))

    def table(self, name: str) -> str:
        """The full name of a table that dbt builds, or of the ledger."""
        return f"{self.schema}.{name}"

    def ml_table(self, name: str) -> str:
        """The full name of a table that `ml` writes."""
        return f"{self.schema}_ml.{name}"

    @property
    def model(self) -> str:
        """The name of the model of this schema in the registry, which several may share."""
        return f"{self.schema}-churn"

    @property
    def command(self) -> str:
        """What a command that a message names begins with, so that it finds the same tables."""
        return command_for(self.target, written(self.overrides))

    def addressed(self, text: str) -> str:
        """A text in which every command that it names is for the same tables."""
        return addressed(text, self.command)

    @cached_property
    def variables(self) -> Mapping[str, object]:
        """The vars of the project, as SQL uses them: of several those that dbt takes.

        Raises:
            BadInput: dbt_project.yml cannot be read, or names one twice.
        """
        try:
            project = yaml.load((PROJECT / "dbt_project.yml").read_text(), PlainYaml)
            given = dict(project["vars"])
            # Those under a package's name are of that package.
            own = dict(given.pop(project["name"], {}))
        except (yaml.YAMLError, ValueError, TypeError, LookupError) as error:
            reason = " ".join(str(error).split())
            raise BadInput(f"dbt_project.yml, or vars in it, cannot be read: {reason}") from error
        return given | own | self.overrides

    @property
    def offer(self) -> "Offer":
        """What contacting a user costs and brings: the vars of the project, as SQL uses them."""
        from ml.economics import Offer

        names = ("contact_cost", "offer_cost", "acceptance")
        terms = {name: float(self.variables[name]) for name in names}
        value = self.variables["customer_value"]
        terms |= (
            {"customer_value": float(value["paid"]), "free_value": float(value["free"])}
            if isinstance(value, Mapping)
            else {"customer_value": float(value)}
        )
        return Offer(**terms, currency=self.variables["currency"])

    @property
    def logs(self) -> Path:
        """The folder of the logs of Spark, of dbt and of the server."""
        return self.home / "logs"

    @property
    def is_elsewhere(self) -> bool:
        """Whether the catalogue or the tables are not on this machine."""
        return bool(self.metastore_url) or self.local_warehouse is None

    @property
    def disks(self) -> list[Path]:
        """The folders on whose disks tables, logs and what Spark sorts may be."""
        own = [self.local_warehouse] if self.warehouse and self.local_warehouse else []
        return [self.home, *own, Path(tempfile.gettempdir())]

    @property
    def has_full_disk(self) -> bool:
        """Whether one of these disks has next to nothing left."""
        there = [next(filter(Path.exists, (disk, *disk.parents))) for disk in self.disks]
        return any(shutil.disk_usage(folder).free < FULL_BYTES for folder in there)

    @property
    def local_warehouse(self) -> Path | None:
        """The folder of the tables; None where they are elsewhere than on this machine."""
        if self.warehouse is None:
            return self.home / "warehouse"
        return None if "://" in self.warehouse else Path(self.warehouse)

    @property
    def tokens(self) -> Path:
        """The folder of the tokens of `sparkify serve`, a file for each role."""
        return self.home / "tokens"

    @property
    def metastore(self) -> Path:
        """The folder of the embedded Derby metastore."""
        return self.home / ("parquet/metastore" if self.target == "parquet" else "metastore")

    @property
    def metastore_url(self) -> str:
        """The address of the metastore that several drivers share; empty where it is Derby's."""
        given = os.environ.get("SPARKIFY_METASTORE_URL", "").strip()
        return given if self.target == "local" else ""

    @property
    def table_format(self) -> str:
        """The format of the tables that `ml` and dbt write."""
        return "parquet" if self.target == "parquet" else "delta"

    @property
    def class_archive(self) -> Path:
        """What `sparkify setup --fast-start` makes, beside the jars that most of it is of."""
        return self.jars / "classes.jsa"

    @property
    def tracking_uri(self) -> str:
        """The address of the MLflow store."""
        return f"sqlite:///{self.model_store}"

    @property
    def model_store(self) -> Path:
        """The file of the MLflow store, in SQLite."""
        return self.home / "mlflow" / "mlflow.db"


def folder_of(name: str, default: Path) -> Path:
    """The absolute path that a variable of the environment holds; an empty one counts as unset."""
    return Path(os.environ.get(name, "").strip() or default).absolute()


def place_of(name: str) -> str | None:
    """The URI or the absolute path that a variable of the environment holds; None of an empty one.

    A URI of this machine is a path: Hadoop, too, reads no escapes in it.
    """
    given = os.environ.get(name, "").strip().rstrip("/")
    if given.startswith("file:"):
        given = "/" + given.removeprefix("file:").lstrip("/")
    if not given:
        return None
    return given if "://" in given else str(Path(given).absolute())


def command_for(target: str, overrides: str = "") -> str:
    """What a command on a target, with vars as `--vars` takes them, begins with."""
    chosen = "" if target == "local" else f" --target {target}"
    return f"sparkify{chosen}" + (f" --vars {shlex.quote(overrides)}" if overrides else "")


def addressed(text: str, command: str) -> str:
    """A text in which every command that it names begins as `command_for` has it, and once so."""
    begins = f"`{command} "
    # A function, for in a text a backslash would be an escape.
    return COMMAND.sub(
        lambda found: found[0] if text.startswith(begins, found.start()) else begins, text
    )


def private_scratch() -> str:
    """Where Spark sorts, for their owner alone: folders in those of SPARK_LOCAL_DIRS, or of TMPDIR.

    What is sorted is of people, and Spark lets everybody read it. The first is Java's folder for
    temporary files too: under one name for all, Spark Connect keeps every session's models there.
    """
    found = []
    for given in (os.environ.get("SPARK_LOCAL_DIRS") or tempfile.gettempdir()).split(","):
        name = f"sparkify-{os.getuid()}"
        folder = Path(given) if Path(given).name == name else Path(given, name)
        try:
            # Somebody else may have been there first, with a file or a link to nowhere too.
            with suppress(FileExistsError):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            told = folder.lstat()
            if not stat.S_ISDIR(told.st_mode) or told.st_uid != os.getuid():
                folder = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=folder.parent))
            folder.chmod(0o700)
            found.append(str(folder))
        except OSError:
            # Spark does without it, or tells why it cannot.
            found.append(given)
    return ",".join(found)


class PlainYaml(yaml.SafeLoader):
    """YAML in which no name stands twice, and no number is octal or sexagesimal: 010, 1:30."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        keys = [key for key, _ in node.value if not key.tag.endswith(":merge")]
        names = [self.construct_object(key, deep=True) for key in keys]
        for name in names:
            if names.count(name) > 1:
                raise yaml.YAMLError(f"{name} stands there twice")
        return super().construct_mapping(node, deep)

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        if not re.fullmatch(r"[-+]?(0|[1-9]\d*)", node.value):
            raise yaml.YAMLError(f"{node.value} is no decimal number")
        return super().construct_yaml_int(node)

    def construct_yaml_float(self, node: yaml.ScalarNode) -> float:
        if ":" in node.value:
            raise yaml.YAMLError(f"{node.value} is no decimal number")
        return super().construct_yaml_float(node)


PlainYaml.add_constructor("tag:yaml.org,2002:float", PlainYaml.construct_yaml_float)
PlainYaml.add_constructor("tag:yaml.org,2002:int", PlainYaml.construct_yaml_int)


def read_vars(given: str) -> dict[str, object]:
    """Vars from YAML such as `{horizon_days: 7}`; a date as text, for SQL and JSON know no other.

    Raises:
        WrongUse: it is not YAML, or holds anything but names and their values.
    """
    try:
        found = yaml.load(given, PlainYaml)
        found = json.loads(json.dumps({} if found is None else found, default=str))
    # A date such as 2018-13-01 is no error of YAML's, nor is a list that holds itself.
    except (yaml.YAMLError, ValueError, TypeError) as error:
        reason = " ".join(str(error).split())
        raise WrongUse(f"--vars {given!r} cannot be read as YAML: {reason}") from error
    if not isinstance(found, dict):
        raise WrongUse(
            f"--vars {given!r} has to be names and values, such as '{{horizon_days: 7}}'"
        )
    return found


def written(overrides: Mapping[str, object]) -> str:
    """Vars as one line of YAML, which `read_vars` and dbt read alike; none is an empty text."""
    if not overrides:
        return ""
    return yaml.safe_dump(dict(overrides), default_flow_style=True, width=sys.maxsize).strip()


def schema_name(given: str) -> str:
    """The name in lower case, as the catalogue keeps it.

    Raises:
        WrongUse: SQL would need quotes around it, or it is that of another one's log or models.
    """
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", given):
        raise WrongUse(
            f"SPARKIFY_SCHEMA is {given!r}: a schema's name has letters, digits and underscores, "
            "and begins with a letter"
        )
    if given.lower().endswith(("_raw", "_ml")):
        raise WrongUse(
            f"SPARKIFY_SCHEMA is {given!r}: names in _raw and _ml are kept for what lies beside a "
            "schema; choose another"
        )
    return given.lower()
