"""What must hold of a table before anything is learned from it."""

from dataclasses import dataclass

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import BooleanType, DateType, NumericType, TimestampNTZType, TimestampType

from ml.errors import NotTrainable, TableMismatch
from ml.preprocessing import Columns, find_columns, quote
from ml.protocol import LABEL


@dataclass(frozen=True, kw_only=True)
class TableSpec:
    """Which columns of a table mean what.

    id: the user. label: boolean or 0/1, null where not observed yet. time: the date a row is as
    of, None if the table has one period only. exclude: columns that are never features.
    allow: columns that may separate the label alone, which is otherwise taken for a leak.
    horizon_days: days after `time` that the label looks at. name, version: of the table, recorded
    with the model.
    """

    id: str
    label: str
    time: str | None = None
    exclude: tuple[str, ...] = ()
    allow: tuple[str, ...] = ()
    horizon_days: int = 14
    name: str = ""
    version: int | None = None

    @property
    def keys(self) -> tuple[str, ...]:
        return (self.id, self.time) if self.time else (self.id,)


@dataclass(frozen=True)
class Labelled:
    """How many rows have a label, how many of them are positive, and of how many users."""

    rows: int
    positives: int
    users: int
    churners: int


def check_schema(table: DataFrame, spec: TableSpec) -> Columns:
    """The feature columns of `table`, from its schema; needs no Spark job.

    Raises:
        TableMismatch: a column of `spec` is missing, or id, time and label are not apart, or the
            type of label or time does not fit.
        NotTrainable: no column is left to learn from.
    """
    types = {field.name: field.dataType for field in table.schema.fields}
    for role in ("id", "label", "time"):
        name = getattr(spec, role)
        if name is not None and name not in types:
            raise TableMismatch(
                f"The table has no column `{name}` (given as {role}); it has {_some(types)}."
            )
    for role in ("exclude", "allow"):
        for name in getattr(spec, role):
            if name not in types:
                raise TableMismatch(f"The table has no column `{name}` (given as {role}).")
    if len({*spec.keys, spec.label}) <= len(spec.keys):
        raise TableMismatch("id, label and time must be different columns.")
    label = types[spec.label]
    if not isinstance(label, (BooleanType, NumericType)):
        raise TableMismatch(
            f"Label `{spec.label}` is {label.simpleString()}; it must be boolean or 0/1."
        )
    if spec.time and not isinstance(types[spec.time], (DateType, TimestampType, TimestampNTZType)):
        raise TableMismatch(
            f"Time `{spec.time}` is {types[spec.time].simpleString()}; cast it to date."
        )
    columns = find_columns(table, ignore=(*spec.keys, spec.label, *spec.exclude))
    check_features(columns)
    return columns


def label_rows(table: DataFrame, spec: TableSpec) -> tuple[DataFrame, Labelled]:
    """The rows with an observed label, as ml__label 0.0 or 1.0, and their counts. One Spark job.

    Raises:
        TableMismatch: a label other than 0 and 1, a row without id or time, a key that repeats.
    """
    value = F.col(quote(spec.label)).cast("double")
    labelled = table.filter(value.isNotNull()).withColumn(LABEL, value)
    keys = [F.col(quote(key)) for key in spec.keys]
    positive = F.col(LABEL) == 1
    found = labelled.agg(
        F.count(F.lit(1)).alias("rows"),
        F.count_if(positive).alias("positives"),
        F.count_distinct(keys[0]).alias("users"),
        F.count_distinct(F.when(positive, keys[0])).alias("churners"),
        F.count_distinct(F.struct(*keys)).alias("keys"),
        F.max(F.when(~F.col(LABEL).isin(0.0, 1.0), F.col(LABEL))).alias("other"),
        *(F.count_if(key.isNull()).alias(f"null_{i}") for i, key in enumerate(keys)),
    ).first()
    if found["other"] is not None:
        raise TableMismatch(
            f"Label `{spec.label}` holds {found['other']:g}; it must be boolean or 0/1."
        )
    for i, key in enumerate(spec.keys):
        if found[f"null_{i}"]:
            raise TableMismatch(f"{found[f'null_{i}']} rows have no `{key}`.")
    if spec.time and found["keys"] < found["rows"]:
        raise TableMismatch(
            f"{found['rows'] - found['keys']} rows repeat the `{spec.id}` and `{spec.time}` of "
            "another; there must be one row for each pair."
        )
    facts = ("rows", "positives", "users", "churners")
    return labelled, Labelled(**{name: found[name] for name in facts})


def check_enough(found: Labelled, *, min_churners: int) -> None:
    """Raise NotTrainable if there is too little to learn from."""
    if not found.rows:
        raise NotTrainable("No row has an observed label yet: there is nothing to learn from.")
    if not found.positives:
        raise NotTrainable(
            f"None of the {found.rows} labelled rows is a churner's: there is nothing to learn "
            f"from. {min_churners} users who churned are needed."
        )
    if found.positives == found.rows:
        raise NotTrainable(
            f"All {found.rows} labelled rows are churners': there is nobody to tell them from."
        )
    if found.churners < min_churners:
        raise NotTrainable(
            f"{found.churners} users churned, {min_churners} are needed: give a longer history or "
            "more users."
        )


def check_features(columns: Columns) -> None:
    """Raise NotTrainable if no feature is left."""
    if not columns.features:
        why = "; ".join(f"`{name}` {reason}" for name, reason in columns.dropped)
        raise NotTrainable(f"No column is left to learn from{': ' + why if why else ''}.")


def _some(names: dict) -> str:
    shown = ", ".join(f"`{name}`" for name in list(names)[:10])
    return shown + (f" and {len(names) - 10} more" if len(names) > 10 else "")
