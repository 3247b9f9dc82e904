"""What DuckDB takes for the tables that `sparkify build` makes of the same log, and whether both
make the same.

python -m benchmarks.duckdb [users ...]

Reading the JSON to clean texts is written by hand; all that follows is the SQL that dbt compiled,
transpiled by sqlglot, and goes into tables of a DuckDB file. Each side is a process of its own in
an empty home, with all that it imports and starts. Spark's makes the retention marts, the tests and
the expectations besides; the seconds in which it made a table that both have are told apart.

Equal is every column of every row, numbers with a fraction to 1e-12 of their size, but for: what
counts distinct artists and songs, from sketches there and from lists of hashes here (to 2 %, for a
sketch of 2^16 registers has a standard error of 0.4 %), the sketches themselves, and input_version,
a hash of another function.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from urllib.parse import unquote

import duckdb
import sqlglot
from sqlglot import exp

from benchmarks.build import SPARKIFY, run, size_of
from benchmarks.figures import by_size

# Layers that both make, and of them what one side alone has.
LAYERS = ("staging", "intermediate", "core", "features")
APART = ("dim_definitions", "base_sparkify__files")
# The one is written by hand, of the other what comes before the texts are clean.
LINE_COUNTS, ROWS = "base_sparkify__line_counts", "base_sparkify__rows"
TEXTS = (
    *("ts", "userId", "sessionId", "page", "auth", "method", "status", "level", "itemInSession"),
    *("location", "userAgent", "registration", "gender", "artist", "song", "length"),
)
# What is compared, with the columns that name a row.
KEYS = {
    "fct_sessions": ("user_id", "session_id"),
    "fct_user_days": ("user_id", "activity_date"),
    "dim_users": ("user_id",),
    "fct_user_snapshots": ("user_id", "as_of_date"),
    "fct_user_features": ("user_id", "as_of_date"),
}
TOLERANCE, TOLERANCE_OF_SKETCHES = 1e-12, 2e-2
MACROS = r"""
create schema sparkify;
create macro clean(text) as nullif(trim(text, e' \t\r\n'), '');
create macro known(text) as if(
    clean(text) in ('NaN', '"NaN"', 'nan', 'None', 'null', 'NULL', '<NA>', 'NaT', 'none',
    'Null', 'N/A', 'n/a', 'undefined', '\N'), null, clean(text)
);
create macro make_valid_utf8(text) as text;
create macro timestamp_millis(ms) as make_timestamp(ms * 1000);
create macro hll_sketch_agg(x, k) as list(distinct hash(x)) filter (where x is not null);
create macro hll_union_agg(sketch) as list_distinct(flatten(list(sketch)));
create macro hll_sketch_estimate(sketch) as coalesce(len(sketch), 0);
"""
COUNTING = """
select filename as source_file, count(*) as line_count
from read_csv(
    $log, columns = {'line': 'varchar'}, header = false, delim = '\x01', quote = '', escape = '',
    filename = true
)
group by filename
"""


@dataclass(frozen=True)
class Cost:
    """Of one side. tables_s: of `seconds`, those in which tables were made that both have."""

    seconds: float
    tables_s: float
    cpu_s: float
    peak_bytes: int
    table_bytes: int


def main(*users: str) -> None:
    """Print both sides a size, and keep the figures in SPARKIFY_HOME/bench/duckdb.json.

    Raises:
        SystemExit: rows are missing on a side, or a column differs, each of them by name.
    """
    found = by_size("duckdb", users, measured, tell)
    wrong = [
        f"{int(size):,} users, {table}: {each}"
        for size in found
        for table, said in found[size]["compared"].items()
        for each in said["wrong"]
    ]
    if wrong:
        raise SystemExit("the two sides differ. " + "; ".join(wrong))


def measured(users: int) -> dict:
    """Simulate a log, build it on both sides in turn, and hold one against the other."""
    with tempfile.TemporaryDirectory() as scratch:
        log, home, file = (Path(scratch, name) for name in ("log", "home", "tables.duckdb"))
        environment = os.environ | {"SPARKIFY_HOME": str(home), "SPARKIFY_WAREHOUSE": ""}
        simulate = ("simulate", "--users", str(users), "--out", str(log))
        subprocess.run([SPARKIFY, *simulate], env=environment, check=True)
        build = (SPARKIFY, "build", "--json", "--events", str(log / "events"))
        seconds, cpu_s, peak, said = run(*build, environment=environment)
        tables_s = covered(made_by_dbt(home / "dbt"))
        spark = Cost(seconds, tables_s, cpu_s, peak, size_of(home / "warehouse"))
        twin = (sys.executable, "-m", "benchmarks.duckdb", "make")
        arguments = (str(log / "events" / "**" / "*.json"), str(home / "dbt"), str(file))
        seconds, cpu_s, peak, tables_s = run(*twin, *arguments, environment=environment)
        beside = Cost(seconds, float(tables_s), cpu_s, peak, file.stat().st_size)
        return {
            "lines": json.loads(said)["data"]["lines"],
            "json_bytes": size_of(log / "events"),
            "compared": compare(home / "warehouse" / "sparkify.db", file),
            "spark": asdict(spark),
            "duckdb": asdict(beside),
        }


def make_tables(log: str, dbt: Path, file: str) -> None:
    """Make the tables of a dbt build in a DuckDB file, and print in how many seconds."""
    models = [(name, duckdb_sql(name, node), node) for name, node, _ in made_by_dbt(dbt)]
    began = time.perf_counter()
    with duckdb.connect(file) as database:
        database.execute(MACROS)
        for name, query, node in models:
            kind = "view" if node["config"]["materialized"] == "view" else "table"
            # A statement that makes something takes no parameters within a CTE.
            query = query.replace("$log", f"'{log}'")
            database.execute(f"create {kind} sparkify.{name} as {query}")
    print(time.perf_counter() - began)


def made_by_dbt(dbt: Path) -> Iterator[tuple[str, dict, dict]]:
    """Name, node and result of each model that both sides make, in the order they were made."""
    nodes = json.loads((dbt / "manifest.json").read_text())["nodes"]
    for result in json.loads((dbt / "run_results.json").read_text())["results"]:
        node = nodes.get(result["unique_id"], {"resource_type": "exposure"})
        is_made = node["resource_type"] == "model" and node["fqn"][-2] in LAYERS
        if is_made and node["name"] not in APART:
            yield node["name"], node | {"compiled_code": result["compiled_code"]}, result


def covered(made: Iterator[tuple[str, dict, dict]]) -> float:
    """The seconds in which at least one of the models was being made."""
    spans = sorted(
        tuple(datetime.fromisoformat(step[at]) for at in ("started_at", "completed_at"))
        for _, _, result in made
        for step in result["timing"]
        if step["name"] == "execute"
    )
    total, until = 0.0, spans[0][0]
    for start, end in spans:
        total += max(0.0, (end - max(start, until)).total_seconds())
        until = max(until, end)
    return total


def duckdb_sql(name: str, node: dict) -> str:
    """A compiled model in the SQL of DuckDB, the log being $log."""
    if name == LINE_COUNTS:
        return COUNTING
    # A whole row as a value is the name of its table.
    code = re.sub(r"struct\((\w+)\.\*\)", r"\1", node["compiled_code"])
    tree = sqlglot.parse_one(code, read="spark")
    if name == ROWS:
        ctes = {each.alias: each for each in tree.find_all(exp.CTE)}
        fields = ctes["fields"]
        names = [column for column in fields.this.named_selects if column in TEXTS]
        for alias, each in ctes.items():
            if alias == "fields":
                break
            each.pop()
        fields.set("this", sqlglot.parse_one(fields_by_hand(names), read="duckdb"))
        # Nor is a broken line, of which there is none by hand, rid of names.
        for line in list(tree.find_all(exp.Column)):
            masked = line
            while line.name == "malformed_line" and isinstance(masked.parent, exp.Func):
                if isinstance(masked.parent, exp.If | exp.Case | exp.Coalesce):
                    break
                masked = masked.parent
            if masked is not line:
                masked.replace(exp.column("malformed_line"))
    # What stands within first, for what is replaced is not looked into.
    for each in reversed(list(tree.walk())):
        changed = to_duckdb(each)
        if changed is not each:
            each.replace(changed)
    return tree.sql("duckdb")


def fields_by_hand(names: list[str]) -> str:
    """The fields of the JSON as clean texts, without what says that there is no value."""
    read = ", ".join(f"'{name}': 'varchar'" for name in names)
    texts = ", ".join(
        f'{"clean" if name in ("artist", "song") else "known"}("{name}") as "{name}"'
        for name in names
    )
    return (
        f"select {texts}, filename as source_file, hash(filename) as input_version,"
        " true as is_line_start, cast(null as varchar) as malformed_line"
        " from read_json($log, format = 'newline_delimited', filename = true,"
        f" columns = {{{read}}})"
    )


def to_duckdb(node: exp.Expression) -> exp.Expression:
    """What sqlglot leaves to its caller: times without a zone, dates that stay dates, hashes."""
    name = node.name.lower() if isinstance(node, exp.Anonymous) else ""
    if isinstance(node, exp.DataType) and node.this.name.startswith("TIMESTAMP"):
        return exp.DataType.build("timestamp", dialect="duckdb")
    if isinstance(node, exp.TsOrDsAdd):
        days = exp.Paren(this=node.expression)
        return exp.Paren(this=exp.Add(this=exp.cast(node.this, "date"), expression=days))
    if isinstance(node, exp.Explode) and isinstance(node.this, exp.GenerateSeries):
        return exp.cast(node.copy(), "date")
    # Before the first mark or behind the last one, which is all that is asked of it.
    if isinstance(node, exp.SubstringIndex):
        parts = [node.this, node.args["delimiter"], node.args["count"]]
        return exp.Anonymous(this="split_part", expressions=parts)
    if isinstance(node, exp.UnixSeconds):
        return sqlglot.parse_one(f"epoch_ms({node.this.sql('duckdb')}) // 1000", read="duckdb")
    if name == "xxhash64":
        return exp.Anonymous(this="hash", expressions=node.expressions)
    if name == "octet_length":
        return exp.Anonymous(this="strlen", expressions=node.expressions)
    # Spark begins with Monday, at 0.
    if name == "weekday":
        return sqlglot.parse_one(f"isodow({node.expressions[0].sql('duckdb')}) - 1", read="duckdb")
    return node


def compare(warehouse: Path, file: Path) -> dict[str, dict]:
    """By table its rows, how many columns were compared, and what differs: see `differences`."""
    with duckdb.connect(file, read_only=True) as database:
        database.execute("set TimeZone = 'UTC'")
        return {table: differences(database, warehouse / table, table) for table in KEYS}


def differences(database: duckdb.DuckDBPyConnection, folder: Path, table: str) -> dict:
    """Rows, columns compared, the largest difference of sketches, and `wrong`, as sentences."""
    files, mine = delta_files(folder), f"sparkify.{table}"
    theirs = f"read_parquet({files})"
    sides = [
        {name: kind for name, kind, *_ in database.execute(f"describe from {side}").fetchall()}
        for side in (theirs, mine)
    ]
    if sides[0].keys() != sides[1].keys():
        alone = sorted(sides[0].keys() ^ sides[1].keys())
        return {"rows": 0, "columns": 0, "wrong": [f"columns {alone} are on one side"]}
    keys = KEYS[table]
    compared = [
        name
        for name, kind in sides[0].items()
        if name not in (*keys, "input_version") and kind != "BLOB"
    ]
    sketched = [name for name in compared if name.startswith("distinct_")]
    counts = [
        f"count(*) filter (where spark.{keys[0]} is null or duck.{keys[0]} is null)",
        *(f"count(*) filter (where {unequal(name, sides[0][name])})" for name in compared),
        *(f"max(abs(spark.{name} - duck.{name}) / nullif(spark.{name}, 0))" for name in sketched),
    ]
    on = " and ".join(f"spark.{key} = duck.{key}" for key in keys)
    query = f"select count(*), {', '.join(counts)} from {theirs} as spark full join {mine} as duck"
    rows, unmatched, *values = database.execute(f"{query} on {on}").fetchone()
    if unmatched:
        return {"rows": rows, "columns": 0, "wrong": [f"{unmatched} rows are on one side"]}
    wrong = [
        f"{name} in {count} of {rows} rows"
        for name, count in zip(compared, values, strict=False)
        if count
    ]
    found = {"rows": rows, "columns": len(compared), "wrong": wrong}
    if sketched:
        found["sketches_off"] = max(float(each or 0) for each in values[len(compared) :])
    return found


def unequal(name: str, kind: str) -> str:
    """The condition that a column differs."""
    left, right = f"spark.{name}", f"duck.{name}"
    if kind not in ("DOUBLE", "FLOAT"):
        return f"{left} is distinct from {right}"
    tolerance = TOLERANCE_OF_SKETCHES if name.startswith("distinct_") else TOLERANCE
    return (
        f"({left} is null) != ({right} is null)"
        f" or abs({left} - {right}) > {tolerance} * greatest(abs({left}), abs({right}))"
    )


def delta_files(folder: Path) -> list[str]:
    """The Parquet files that the last version of a Delta table has."""
    files = set()
    for version in sorted((folder / "_delta_log").glob("*.json")):
        for action in map(json.loads, version.read_text().splitlines()):
            if "add" in action:
                files.add(unquote(action["add"]["path"]))
            if "remove" in action:
                files.discard(unquote(action["remove"]["path"]))
    return sorted(str(folder / file) for file in files)


def tell(users: str, found: dict) -> None:
    """Print what was compared, and a line a side."""
    print(f"{int(users):,} users, {found['lines']:,} lines, {found['json_bytes'] / 1e6:,.0f} MB")
    for table, each in found["compared"].items():
        equal = each["columns"] - len(each["wrong"])
        off = f"; sketches off by {each['sketches_off']:.2%}" if "sketches_off" in each else ""
        print(f"  {table}: {each['rows']:,} rows, {max(0, equal)} columns equal{off}")
    spark, duck = found["spark"], found["duckdb"]
    for name, side in (("sparkify build", spark), ("DuckDB", duck)):
        print(
            f"  {name}: {side['seconds']:.1f} s, {side['tables_s']:.1f} of them tables, "
            f"{side['cpu_s']:.0f} CPU s, {side['peak_bytes'] / 2**30:.1f} GiB, "
            f"tables {side['table_bytes'] / 1e6:.0f} MB"
        )
    ratios = {key: spark[key] / duck[key] for key in ("seconds", "tables_s", "cpu_s", "peak_bytes")}
    print(
        "  ratio: {seconds:.1f} in all, {tables_s:.1f} for the tables, {cpu_s:.1f} in CPU seconds, "
        "{peak_bytes:.1f} in memory".format(**ratios)
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["make"]:
        make_tables(sys.argv[2], Path(sys.argv[3]), sys.argv[4])
    else:
        main(*sys.argv[1:])
