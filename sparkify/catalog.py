"""Which tables there are, and what the project says of them."""

import re

import yaml
from pyspark.sql import SparkSession

from sparkify.settings import PROJECT

MARTS = ("dim_", "fct_")
BLOCK = re.compile(r"{% docs (\w+) %}\s*(.*?)\s*{% enddocs %}", re.S)
NAMED = re.compile(r"{{ doc\('(\w+)'\) }}")


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
    blocks = dict(BLOCK.findall((PROJECT / "models" / "columns.md").read_text()))
    for file in sorted((PROJECT / "models").rglob("*.yml")):
        said = yaml.safe_load(file.read_text())
        sources = [each for source in said.get("sources", []) for each in source["tables"]]
        found |= {each["name"]: each for each in [*said.get("models", []), *sources]}
    for column in (column for table in found.values() for column in table.get("columns", [])):
        text = NAMED.sub(lambda block: blocks[block[1]], column.get("description", ""))
        column["description"] = " ".join(text.split())
    return found
