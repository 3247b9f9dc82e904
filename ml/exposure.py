"""How long, or how much, each row was observed, where a column of the table says so."""

from decimal import Decimal

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from ml import parsing
from ml.errors import NotTrainable, TableMismatch
from ml.preprocessing import quote
from ml.table_spec import FLOATS, TableSpec, check_named

# Two tables differ where the median of one lies outside the middle half of the other.
QUARTILES = (0.25, 0.5, 0.75)


def long_enough(rows: DataFrame, spec: TableSpec) -> DataFrame:
    """The rows observed for at least `spec.min_exposure`; all of them without a column for it."""
    if spec.exposure is None or spec.min_exposure is None:
        return rows
    return rows.filter(F.expr(_value(rows, spec.exposure)) >= spec.min_exposure)


def find_notes(
    labelled: DataFrame, spec: TableSpec, scoring: DataFrame | None = None
) -> tuple[str, ...]:
    """What a reader should know of the exposure, as sentences: rows left out, and a difference.

    `labelled`: the rows with a label, those of too short an exposure included; `scoring`: the rows
    to be scored. A Spark job or two for each of the two.

    Raises:
        TableMismatch: `scoring` has no such column, or a text in it is no number.
        NotTrainable: no labelled row was observed for long enough.
    """
    if spec.exposure is None:
        return ()
    name, notes = spec.exposure, []
    _check_values(labelled, name)
    if spec.min_exposure is not None:
        rows, kept = labelled.count(), long_enough(labelled, spec).count()
        if rows and not kept:
            raise NotTrainable(
                f"None of {rows} labelled rows has a `{name}` of at least "
                f"{_said(spec.min_exposure)}: ask for less with --min-exposure."
            )
        if left_out := rows - kept:
            are = "row is" if left_out == 1 else "rows are"
            notes.append(
                f"{left_out} labelled {are} left out, with `{name}` below "
                f"{_said(spec.min_exposure)} or none."
            )
    if scoring is not None:
        check_named(scoring.columns, name, role="exposure")
        _check_values(scoring, name)
        learned, to_score = (
            _quartiles(each, name) for each in (long_enough(labelled, spec), scoring)
        )
        if learned and to_score and _differ(learned, to_score):
            notes.append(
                f"`{name}` differs: its median is {_said(learned[1])} in the rows learned from and "
                f"{_said(to_score[1])} in those to score. Then a backtest ranks sets of columns by "
                "how they do on rows of another exposure, maybe backwards: choose them on rows "
                "like those to score, and leave out rows seen too briefly with --min-exposure."
            )
    return tuple(notes)


def find_too_short(rows: DataFrame, spec: TableSpec) -> tuple[str, ...]:
    """A sentence if some of the rows to be scored were observed for less than those learned from.

    spec: of the table that was learned from. What cannot be read counts as none. One Spark job
    where it has a least exposure.
    """
    if spec.min_exposure is None or spec.exposure not in rows.columns:
        return ()
    value = F.expr(_value(rows, spec.exposure))
    enough = F.count_if(value >= spec.min_exposure)
    count, short = rows.agg(F.count(F.lit(1)), F.count(F.lit(1)) - enough).first()
    said = (
        f"{short:,} of {count:,} rows {'has' if short == 1 else 'have'} a `{spec.exposure}` below "
        f"{_said(spec.min_exposure)} or none: the model learned from no such row."
    )
    return (said,) if short else ()


def _value(rows: DataFrame, name: str) -> str:
    """SQL for the exposure as a number; null where there is none, which NaN says too."""
    kind, value = dict(rows.dtypes)[name], quote(name)
    if kind == "string":
        return parsing.number(value)
    return f"nanvl({value}, null)" if kind in FLOATS else value


def _check_values(rows: DataFrame, name: str) -> None:
    """Refuse a text that is no number."""
    if dict(rows.dtypes)[name] != "string":
        return
    given = parsing.is_given(quote(name))
    wrong = rows.filter(f"{given} and {_value(rows, name)} is null").select(quote(name)).first()
    if wrong is not None:
        raise TableMismatch(
            f"Exposure `{name}` holds `{wrong[0]}`; it must be a number, or blank where not known."
        )


def _quartiles(rows: DataFrame, name: str) -> list[float] | None:
    value = F.expr(_value(rows, name))
    return rows.agg(F.percentile_approx(value, list(QUARTILES))).first()[0]


def _said(value: float) -> str:
    """A number as people write it, never as a power of ten."""
    return f"{Decimal(f'{value:.6g}'):f}"


def _differ(first: list[float], second: list[float]) -> bool:
    return not (first[0] <= second[1] <= first[2] and second[0] <= first[1] <= second[2])
