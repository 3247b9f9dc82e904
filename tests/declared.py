"""What models/staging/_sources.yml declares of the tables that runs append to."""

import yaml

from sparkify.settings import PROJECT

SOURCES = yaml.safe_load((PROJECT / "models" / "staging" / "_sources.yml").read_text())["sources"]


def declared() -> dict[str, dict[str, dict]]:
    """The columns of every table that has any, by name: data_type and description."""
    return {
        table["name"]: {column["name"]: column for column in table["columns"]}
        for source in SOURCES
        for table in source["tables"]
        if "columns" in table
    }


def ddl(table: str) -> str:
    """The columns of a table as Spark reads them in a schema."""
    return ", ".join(f"{name} {each['data_type']}" for name, each in declared()[table].items())
