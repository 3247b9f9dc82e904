"""What `sparkify sql` does: print what a query returns."""

import csv
import io
import json
import re
from collections.abc import Iterator
from difflib import get_close_matches

import pyarrow as pa
from pyspark.errors import ParseException, PySparkException
from pyspark.sql import DataFrame, SparkSession

from sparkify import unchanged
from sparkify.catalog import MARTS, tables_of
from sparkify.cells import flat, is_number, plain, rows_of, show
from sparkify.errors import WrongUse, first_line
from sparkify.formatting import plural
from sparkify.remote import has_remote, is_gone
from sparkify.session import open_session
from sparkify.settings import Settings
from sparkify.terminal import emit, line, records

# What only tells: it is no query, but writes nothing either.
TELLS = {"show", "describe", "desc", "explain"}
# Blanks and comments before the first word of a statement, as Spark takes them: a line of a comment
# that ends in a backslash goes on. A comment in a comment is left to Spark.
BEFORE = re.compile(r"(\s|--(\\\n|[^\r\n])*+|/\*((?!/\*|\*/).)*\*/)*+", re.DOTALL)
# Spark runs what the text after it says at once, even where it is only to be explained.
AT_ONCE = {"execute", "immediate"}
# What Spark does while it analyses a statement, in one that is only parsed: what a text says, and a
# time that is worked out by more than these.
RUN_AT_ONCE = "ExecuteImmediateQuery"
OF_TIMES = re.compile(
    r"\.(Literal|Cast|Add|Subtract|Multiply|Divide|UnaryMinus|TimestampAdd|UnresolvedAttribute"
    r"|Current(Timestamp|Date)|LocalTimestamp|Now)$"
)
# Functions that may stand there, as in Gate.java.
TIMES = re.compile(
    r"\[(now|current_(timestamp|date)|localtimestamp|(to_)?(timestamp|date)|timestamp_\w+"
    r"|date_?(add|sub)|add_months|date_trunc|trunc|make_(date|timestamp)|from_unixtime)\]",
    re.IGNORECASE,
)
METHODS = re.compile(r"\[(.*, )?(try_reflect|reflect|java_method)\]", re.IGNORECASE)
# What a query may start other programs with, judged by its words where its plan is out of reach: a
# method of Java, a script, or a function whose name is not to be seen. Texts are empty there.
PROGRAMS = re.compile(
    r"\b(?:(?:try_reflect|reflect|java_method)`?\s*\(|using\s*''"
    r"|identifier`?\s*\((?!\s*''\s*\)(?!\s*\()))",
    re.IGNORECASE,
)
# What a query is made of, as Spark takes it: texts, names in quotes, comments. A hint is none.
TEXT = r"""(?<!\w)[rR](?:'[^']*'|"[^"]*")|'(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.|"")*\""""
PIECE = re.compile(
    rf"(?P<text>{TEXT})|(?P<line>--(?:\\\n|[^\r\n])*)|(?P<begin>/\*(?!\+))|`[^`]*`|.", re.DOTALL
)
IN_COMMENT = re.compile(r"(?P<begin>/\*(?!\+))|(?P<end>\*/)|.", re.DOTALL)
# The nodes of a plan that do: scripts, methods of Java, and functions that are classes of Hive's.
STARTING = re.compile(r"\.(ScriptTransformation|\w*Reflect\w*|Hive\w*(UDF|UDTF|UDAF)\w*)$")
PROGRAM = "starts a program, or calls a method of Java"
STARTS = "`sparkify sql` only reads, and this statement {}; if that is meant, add --write"
# What Spark adds for programs, and places in the text that it was given, which is not the user's.
DEBRIS = re.compile(r"[;.]? *\(?line \d+,? pos \d+\)?|\[[A-Z_.]+\] |;? *SQLSTATE: \w+;?")


def run_query(settings: Settings, query: str, *, style: str, write: bool = False) -> None:
    """Run one statement and print its rows as a `table`, as `csv` or as `json` lines.

    Raises:
        WrongUse: the statement is not valid, names what does not exist, writes without `write`, or
            has two columns of a name, which JSON has not.
    """
    spark = open_session(settings)
    try:
        if write:
            unchanged.forget(settings)
        rows = spark.sql(query if write else only_reading(spark, query)).toArrow()
    except PySparkException as error:
        if is_gone(error):
            raise
        said = DEBRIS.sub("", first_line(str(error))).rstrip(". ")
        raise WrongUse(f"the query cannot be run: {said}{hint(spark, settings, error)}") from error
    if style == "table":
        print_table(rows)
    else:
        emit(as_csv(rows) if style == "csv" else as_json(rows))


def only_reading(spark: SparkSession, query: str) -> str:
    """The statement of a query that can do no more than read; it is only parsed for that.

    It is returned, for what is judged and what is run has to be the same text.

    Raises:
        WrongUse: the statement is another one.
        ParseException: it is none.
    """
    if not has_remote():
        # What the variables of a statement hide.
        query = spark._jvm.org.apache.spark.sql.internal.VariableSubstitution().substitute(query)
    elif "${" in query:
        raise WrongUse(STARTS.format("has ${...}, in place of which the server puts what it has"))
    elif found := PROGRAMS.search(without_texts(query)):
        word = re.match(r"\w+", found[0])[0].lower()
        said = f"may start a program, as far as a client sees: it has the word {word}"
        raise WrongUse(STARTS.format(said))
    statement = query[BEFORE.match(query).end() :].rstrip().rstrip(";")
    runs_at_once = set(re.findall(r"\w+", statement.lower())) >= AT_ONCE
    first = statement.split(maxsplit=1)[:1]
    if first and first[0].lower() in TELLS and not runs_at_once:
        if not has_remote():
            check_parsed(parsed(spark, statement), statement)
        return statement
    for candidate in (statement, without_tail(statement)):
        # Only a query can stand there, and `with x as (...) insert into` is none.
        whole = f"select * from (\n{candidate}\n)"
        try:
            if not has_remote():
                check_parsed(parsed(spark, whole), whole)
            rows = spark.sql(whole)
        except ParseException:
            continue
        if not has_remote() and starts_program(rows):
            raise WrongUse(STARTS.format(PROGRAM))
        return candidate
    if not has_remote():
        parsed(spark, statement)
    elif not runs_at_once:
        spark.sql(f"explain {statement}")
    raise WrongUse(
        "`sparkify sql` only reads, and this statement is no query; if it is meant to change "
        "the tables, add --write"
    )


def parsed(spark: SparkSession, statement: str) -> object:
    """The plan of a statement that is only parsed, as Spark writes plans in JSON."""
    parser = spark._jsparkSession.sessionState().sqlParser()
    return json.loads(parser.parsePlan(statement).toJSON())


def check_parsed(plan: object, statement: str) -> None:
    """Refuse, in the plan of a statement, what Spark would do before an analysed one can be judged.

    Raises:
        WrongUse: it may be a program.
    """
    for node in nodes_of(plan):
        kind = node["class"].rpartition(".")[2]
        is_method = kind == "UnresolvedFunction" and METHODS.fullmatch(node["nameParts"])
        if is_method or STARTING.search(node["class"]):
            raise WrongUse(STARTS.format(PROGRAM))
        # Of what identifier(...) names Spark shows nothing yet.
        if kind == "ExpressionWithUnresolvedIdentifier" or (
            kind == "PlanWithUnresolvedIdentifier" and PROGRAMS.search(without_texts(statement))
        ):
            raise WrongUse(STARTS.format("may start a program: identifier() hides what it calls"))
        if kind == RUN_AT_ONCE:
            raise WrongUse(STARTS.format("runs what a text says at once"))
        if kind == "RelationTimeTravel" and not all(
            OF_TIMES.search(each["class"]) or TIMES.fullmatch(each.get("nameParts", ""))
            for each in nodes_of(node.get("timestamp"))
        ):
            raise WrongUse(STARTS.format("has Spark find out the time of a version at once"))


def starts_program(rows: DataFrame) -> bool:
    """Whether a query that is not run yet would start a program, or call a method of Java."""
    plan = json.loads(rows._jdf.queryExecution().analyzed().toJSON())
    return any(STARTING.search(node["class"]) for node in nodes_of(plan))


def nodes_of(plan: object) -> Iterator[dict]:
    """Every node of a plan in JSON, those that are parts of others included."""
    if isinstance(plan, dict):
        if isinstance(plan.get("class"), str):
            yield plan
        plan = [*plan.values()]
    if isinstance(plan, list):
        for each in plan:
            yield from nodes_of(each)


def without_texts(query: str) -> str:
    """A query with every text empty, and every comment, which may hold another one, a blank."""
    kept, place, depth = [], 0, 0
    while place < len(query):
        found = (IN_COMMENT if depth else PIECE).match(query, place)
        place = found.end()
        kind = found.lastgroup
        if kind in ("begin", "end"):
            depth += 1 if kind == "begin" else -1
        if not depth:
            kept.append({"text": "''", "line": " ", "end": " "}.get(kind, found[0]))
    return "".join(kept)


def without_tail(statement: str) -> str:
    """A statement without the semicolon that ends it and the comments behind."""
    ends = (found.start() for found in re.finditer(";", statement))
    end = next((end for end in ends if BEFORE.fullmatch(statement, end + 1)), None)
    return statement[:end]


def hint(spark: SparkSession, settings: Settings, error: PySparkException) -> str:
    """What may be meant by a table that there is not, or how to get one."""
    if error.getCondition() != "TABLE_OR_VIEW_NOT_FOUND":
        return ""
    there = tables_of(spark, settings.schema)
    if not there:
        return "; there are no tables yet: run `sparkify build --events PATH`"
    wanted = error.getMessageParameters().get("relationName", "").replace("`", "").split(".")[-1]
    near = get_close_matches(wanted, there, n=1)
    meant = f"; did you mean {settings.table(near[0])}?" if near else ""
    marts = ", ".join(name for name in there if name.startswith(MARTS))
    return f"{meant} (in {settings.schema} there are {marts})"


def print_table(rows: pa.Table) -> None:
    """Numbers to the right, nulls as a dash; what is too wide has a column on each line."""
    columns = [(field.name, "right" if is_number(field.type) else "left") for field in rows.schema]
    shown = [[show(cell) for cell in row] for row in rows_of(rows)]
    records(columns, shown)
    line(plural(len(shown), "row"), style="dim")


def as_csv(rows: pa.Table) -> str:
    """Rows under their names; null and NaN are empty, what is nested is JSON, bytes are hex."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(rows.column_names)
    writer.writerows([flat(cell) for cell in row] for row in rows_of(rows))
    return text.getvalue()


def as_json(rows: pa.Table) -> str:
    """An object a row and line.

    Raises:
        WrongUse: two columns have the same name.
    """
    names = rows.column_names
    if doubled := sorted({name for name in names if names.count(name) > 1}):
        raise WrongUse(
            f"two columns are called {doubled[0]}, which JSON does not tell apart; rename one, as "
            f"in `{doubled[0]} as other`"
        )
    found = (dict(zip(names, map(plain, row), strict=True)) for row in rows_of(rows))
    return "".join(json.dumps(row, separators=(",", ":")) + "\n" for row in found)
