"""How long, or how much, each row was observed, where a column of the table says so."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from ml.checks import TableSpec, check_named
from ml.preprocessing import quote

# Two tables differ where the median of one lies outside the middle half of the other.
QUARTILES = (0.25, 0.5, 0.75)


def long_enough(rows: DataFrame, spec: TableSpec) -> DataFrame:
    """The rows observed for at least `spec.min_exposure`; all of them without a column for it."""
    if spec.exposure is None or spec.min_exposure is None:
        return rows
    return rows.filter(F.col(quote(spec.exposure)) >= spec.min_exposure)


def find_notes(
    labelled: DataFrame, spec: TableSpec, scoring: DataFrame | None = None
) -> tuple[str, ...]:
    """What a reader should know of the exposure, as sentences: rows left out, and a difference.

    `labelled`: the rows with a label, those of too short an exposure included; `scoring`: the rows
    to be scored. A Spark job for each of the two.

    Raises:
        TableMismatch: `scoring` has no such column.
    """
    if spec.exposure is None:
        return ()
    name, notes = spec.exposure, []
    left_out = labelled.count() - long_enough(labelled, spec).count() if spec.min_exposure else 0
    if left_out:
        notes.append(
            f"{left_out} labelled rows with `{name}` below {spec.min_exposure:g} or none "
            "are left out."
        )
    if scoring is not None:
        check_named(scoring.columns, name, role="exposure")
        learned, to_score = (
            _quartiles(each, name) for each in (long_enough(labelled, spec), scoring)
        )
        if learned and to_score and _differ(learned, to_score):
            notes.append(
                f"`{name}` differs: its median is {learned[1]:g} in the rows learned from and "
                f"{to_score[1]:g} in those to score. Then a backtest ranks sets of columns by how "
                "they do on rows of another exposure, maybe backwards: choose them on rows like "
                "those to score, and leave out rows seen too briefly with --min-exposure."
            )
    return tuple(notes)


def _quartiles(rows: DataFrame, name: str) -> list[float] | None:
    return rows.agg(F.percentile_approx(quote(name), list(QUARTILES))).first()[0]


def _differ(first: list[float], second: list[float]) -> bool:
    return not (first[0] <= second[1] <= first[2] and second[0] <= first[1] <= second[2])
