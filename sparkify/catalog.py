"""Which tables there are, and what the project says of them."""

import re

import yaml
from pyspark.sql import SparkSession

from sparkify.settings import PROJECT

MARTS = ("dim_", "fct_")
# A block of documentation, and a description that is one, by its name or its project's and its own.
BLOCK = re.compile(r"{%-?\s*docs (\w+)\s*-?%}\s*(.*?)\s*{%-?\s*enddocs\s*-?%}", re.S)
NAMED = re.compile(r"{{\s*doc\((?:\s*['\"]\w+['\"]\s*,)?\s*['\"](\w+)['\"]\s*\)\s*}}")


def tables_of(spark: SparkSession, schema: str) -> list[str]:
    """The tables and views of a schema, none where there is no schema."""
    if not spark.catalog.databaseExists(schema):
        return []
    # The catalogue's own list cannot be decoded where Spark generates no code.
    shown = spark.sql(f"show tables in {schema}").where("not isTemporary").collect()
    return sorted(row["tableName"] for row in shown)


def described() -> dict[str, dict]:
    """By name, what the project's YAML says of each table that it builds or declares."""
    found = {}
    texts = (file.read_text() for file in (PROJECT / "models").rglob("*.md"))
    blocks = dict(block for text in texts for block in BLOCK.findall(text))
    for file in sorted((PROJECT / "models").rglob("*.yml")):
        said = yaml.safe_load(file.read_text())
        sources = [each for source in said.get("sources", []) for each in source["tables"]]
        found |= {each["name"]: each for each in [*said.get("models", []), *sources]}
    for table in found.values():
        for column in table.get("columns") or []:
            text = column.get("description") or ""
            text = NAMED.sub(lambda named: blocks.get(named[1], named[0]), text)
            column["description"] = " ".join(text.split())
    return found
