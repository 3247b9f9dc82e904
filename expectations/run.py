"""Check tables against their suites: the gate between the marts and the models."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass

import great_expectations as gx
from pyspark.sql import SparkSession

from expectations.suites import SUITES


@dataclass(frozen=True)
class Check:
    """One expectation and what came of it."""

    table: str
    name: str
    is_passed: bool
    detail: str


def check_tables(spark: SparkSession, tables: Iterable[str] = tuple(SUITES)) -> list[Check]:
    """Validate tables of the schema `sparkify`; an empty feature table is not an error.

    Returns: one `Check` per expectation, passed or not, in the order of the suites.
    """
    # The one module that sets its own level, to tell of a temporary folder.
    logging.getLogger("great_expectations.data_context.types.base").setLevel(logging.ERROR)
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = gx.data_context.types.base.ProgressBarsConfig(globally=False)
    source = context.data_sources.add_spark(name="sparkify", persist=False)
    return [check for table in tables for check in check_table(context, source, spark, table)]


def check_table(context, source, spark: SparkSession, table: str) -> list[Check]:
    """Validate one table; rows are counted, never copied into the result."""
    suite = context.suites.add(gx.ExpectationSuite(name=table, expectations=SUITES[table]()))
    batch = source.add_dataframe_asset(name=table).add_batch_definition_whole_dataframe(name=table)
    validation = gx.ValidationDefinition(name=table, data=batch, suite=suite)
    result = context.validation_definitions.add(validation).run(
        batch_parameters={"dataframe": spark.table(f"sparkify.{table}")},
        result_format="BOOLEAN_ONLY",
    )
    return [to_check(table, outcome) for outcome in result.results]


def to_check(table: str, outcome) -> Check:
    """Name an expectation by its type and columns, and say what was found instead."""
    config = outcome.expectation_config
    columns = [
        str(value)
        for key, value in config.kwargs.items()
        if key in ("column", "column_A", "column_B", "column_list")
    ]
    error = next((info.get("exception_message") for info in raised(outcome.exception_info)), None)
    found = outcome.result
    detail = error or (
        f"{found['unexpected_count']} of {found['element_count']} rows, "
        f"such as {found.get('partial_unexpected_list', [])[:3]}"
        if found.get("unexpected_count")
        else f"found {found['observed_value']}"
        if "observed_value" in found
        else ""
    )
    name = config.description or f"{config.type.removeprefix('expect_')}({', '.join(columns)})"
    return Check(table, name, bool(outcome.success), detail)


def raised(info: dict) -> list[dict]:
    """The exceptions of an outcome: one flat record, or one per metric."""
    records = [info] if "raised_exception" in info else list(info.values())
    return [record for record in records if record and record.get("raised_exception")]
