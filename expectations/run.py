"""Check tables against their suites: the gate between the marts and the models."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from itertools import chain

import great_expectations as gx
from great_expectations.data_context.types.base import (
    DataContextConfig,
    InMemoryStoreBackendDefaults,
    ProgressBarsConfig,
)
from great_expectations.exceptions import GreatExpectationsError
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from expectations.previous import previous_build
from expectations.suites import COMPARED, SUITES, layer_of, rules_of
from ml.parallel import in_threads


@dataclass(frozen=True)
class Check:
    """One expectation and what came of it.

    The names are those of the ledger's columns. status: pass, fail, or warn: does not hold, but
    stops nothing. row_count: of the table.
    """

    layer: str
    table_name: str
    check_name: str
    severity: str
    status: str
    failure_count: int | None
    row_count: int
    detail: str


def check_tables(
    spark: SparkSession,
    tables: Iterable[str] = tuple(SUITES),
    *,
    schema: str,
    unknown: float,
) -> list[Check]:
    """Validate tables of a schema; an empty feature table is not an error.

    unknown: the share of rows that may lack a value, 0 to 1 (the var `max_nulled_share`).

    Returns: one `Check` per expectation, passed or not, in the order of the suites.
    """
    configuration = DataContextConfig(
        store_backend_defaults=InMemoryStoreBackendDefaults(),
        data_docs_sites={},
        progress_bars=ProgressBarsConfig(globally=False),
        analytics_enabled=False,
    )
    context = gx.get_context(mode="ephemeral", project_config=configuration)
    source = context.data_sources.add_spark(name=schema, persist=False)
    # A small table keeps the driver busy rather than the cores, so two are checked at a time.
    check = partial(check_table, context, source, spark, schema=schema, unknown=unknown)
    tasks = [partial(check, table=table) for table in tables]
    return list(chain.from_iterable(in_threads(spark, tasks, parallelism=2)))


def check_table(
    context, source, spark: SparkSession, *, schema: str, table: str, unknown: float
) -> list[Check]:
    """Validate one table; rows are counted, never copied into the result."""
    rows = spark.table(f"{schema}.{table}")
    previous = previous_build(spark, f"{schema}.{table}", compared=COMPARED)
    expectations = SUITES[table](rows.columns, previous, unknown, schema)
    count = rows.count()
    rules = rules_of(expectations)
    rows = rows.withColumns({name: F.expr(rules[name]) for name in rules})
    suite = context.suites.add(gx.ExpectationSuite(name=table, expectations=expectations))
    batch = source.add_dataframe_asset(name=table).add_batch_definition_whole_dataframe(name=table)
    validation = gx.ValidationDefinition(name=table, data=batch, suite=suite)
    result = context.validation_definitions.add(validation).run(
        batch_parameters={"dataframe": rows}, result_format="BOOLEAN_ONLY"
    )
    return [
        to_check(table, count, outcome if outcome.success else in_detail(batch, rows, outcome))
        for outcome in result.results
    ]


def in_detail(batch, rows: DataFrame, outcome):
    """Ask again for what does not hold: how often, and such as what."""
    # Of a server that is gone it is raised here; Great Expectations would say that nothing holds.
    rows.limit(0).collect()
    expectation = outcome.expectation_config.to_domain_obj()
    try:
        found = batch.get_batch(batch_parameters={"dataframe": rows}).validate(expectation)
    except GreatExpectationsError:
        return outcome
    # A rule about many columns: of which it does not hold.
    if conditions := (expectation.meta or {}).get("columns"):
        counts = rows.agg(*(F.count_if(F.expr(conditions[c])).alias(c) for c in conditions)).first()
        wrong = [f"{name} ({count:,})" for name, count in counts.asDict().items() if count]
        found.result["columns"] = "in " + ", ".join(wrong)
    return found


def to_check(table: str, count: int, outcome) -> Check:
    """Name an expectation by its type and columns, and say what was found instead."""
    config, found = outcome.expectation_config, outcome.result
    column = config.kwargs.get("column")
    columns = [column] if column else config.kwargs.get("column_list", [])
    kind = f"{config.type.removeprefix('expect_')}({', '.join(columns)})"
    is_warning = config.severity == "warning"
    detail = next((info.get("exception_message") for info in raised(outcome.exception_info)), None)
    is_rule = "rule" in (config.meta or {})
    detail = detail or found.get("columns")
    if detail is None and found.get("partial_unexpected_list") and not is_rule:
        detail = f"such as {found['partial_unexpected_list'][:3]}"
    elif detail is None and found.get("observed_value") is not None and not outcome.success:
        value = found["observed_value"]
        # Four digits, and never a power of ten.
        value = f"{Decimal(f'{value:.4g}'):f}" if isinstance(value, float) else value
        detail = f"found {value}"
    return Check(
        layer=layer_of(table),
        table_name=table,
        check_name=config.description or kind,
        severity="warn" if is_warning else "error",
        status="pass" if outcome.success else "warn" if is_warning else "fail",
        failure_count=0 if outcome.success else found.get("unexpected_count"),
        row_count=count,
        detail=detail or "",
    )


def raised(info: dict) -> list[dict]:
    """The exceptions of an outcome: one flat record, or one per metric."""
    records = [info] if "raised_exception" in info else list(info.values())
    return [record for record in records if record and record.get("raised_exception")]
