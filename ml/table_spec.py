"""What must hold of a table before anything is learned from it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from itertools import takewhile
from operator import itemgetter

from pyspark.sql import Column as SparkColumn
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import (
    BooleanType,
    DateType,
    NumericType,
    StringType,
    TimestampNTZType,
    TimestampType,
)

from ml import parsing
from ml.errors import NotTrainable, TableMismatch
from ml.preprocessing import PREFIX, Columns, Feature, find_columns, quote
from ml.protocol import LABEL
from ml.wording import Wording

FLOATS = ("float", "double")
# Columns of scores and explanations, beside those that begin with ml__.
RESERVED = (
    *("probability", "reason_1", "reason_2", "reason_3", "base", "log_odds", "contributions"),
    *("alone", "typical_probability", "reasons", "family", "contribution", "is_actionable"),
    "details",
)


@dataclass(frozen=True, kw_only=True)
class TableSpec:
    """Which columns of a table mean what.

    id: the user. label: what `parsing.LABELS` says, as any type; None of rows that are only scored.
    time: the date a row is as of, None if the table has one period only. exclude: columns that are
    never features. allow: columns that may separate the label alone, which is otherwise taken for
    a leak. horizon_days: days after `time` that the label looks at, None where nobody says, which
    only a table without `time` may leave open. definitions: what else the rows mean, by name, such
    as what counts as a churn. made_by: what tells the code that made the table from other code;
    empty where nothing is known of it. name, version: of the table, recorded with the model.
    wording: by column, how explanations tell it; without, by its name. exposure: how long, or how
    much, a row was observed, a number; min_exposure: what of it a row needs to be learned from.
    core: the few columns that little data is enough for: whether they alone do better is tried.
    """

    id: str
    label: str | None = None
    time: str | None = None
    exclude: tuple[str, ...] = ()
    allow: tuple[str, ...] = ()
    horizon_days: int | None = 14
    definitions: Mapping[str, str] = field(default_factory=dict)
    made_by: str = ""
    name: str = ""
    version: int | None = None
    wording: Mapping[str, Wording] = field(default_factory=dict)
    exposure: str | None = None
    min_exposure: float | None = None
    core: tuple[str, ...] = ()

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
    for role in ("id", "label", "time", "exposure"):
        name = getattr(spec, role)
        if name is not None:
            check_named(types, name, role=role)
    for role in ("exclude", "allow"):
        for name in getattr(spec, role):
            check_named(types, name, role=role)
    if len({*spec.keys, spec.label}) <= len(spec.keys):
        raise TableMismatch("id, label and time must be different columns.")
    check_keys(spec.keys)
    label = types[spec.label]
    if not isinstance(label, (BooleanType, NumericType, StringType)):
        raise TableMismatch(
            f"Label `{spec.label}` is {label.simpleString()}; it must be {parsing.LABELS}."
        )
    if spec.time and not isinstance(types[spec.time], (DateType, TimestampType, TimestampNTZType)):
        raise TableMismatch(
            f"Time `{spec.time}` is {types[spec.time].simpleString()}; cast it to date."
        )
    if spec.exposure and not isinstance(types[spec.exposure], (NumericType, StringType)):
        raise TableMismatch(
            f"Exposure `{spec.exposure}` is {types[spec.exposure].simpleString()}; cast it to a "
            "number."
        )
    columns = find_columns(table, ignore=(*spec.keys, spec.label, *spec.exclude))
    check_features(columns)
    return columns


def of_closed_dates(table: DataFrame, spec: TableSpec) -> tuple[DataFrame, tuple[str, ...]]:
    """The rows without those of the last dates on which only churners have a label, and a note.

    The days that such labels look at are not over: who is going to stay is not known to, so what is
    known there is of churners alone. One Spark job, two where there are such rows, and none of a
    table without dates.

    Raises:
        TableMismatch: any row of such a table, left out or not, as in `refuse_keys`.
    """
    if spec.time is None:
        return table, ()
    label, day = F.expr(parsing.label(quote(spec.label))), F.to_date(quote(spec.time))
    is_given = F.expr(parsing.is_given(quote(spec.label)))
    counted = table.groupBy(day.alias("day")).agg(
        F.count(F.lit(1)).alias("rows"),
        F.count(label).alias("labelled"),
        F.count_if(~is_given).alias("blank"),
        F.count_if(label == 1).alias("churners"),
    )
    # What is given and cannot be read is no sign of days to come; it is refused later.
    is_open = "blank > 0 and labelled + blank = rows and labelled = churners"
    days = counted.where("day is not null and labelled > 0")
    found = days.select("day", F.expr(is_open).alias("is_open"), "churners").collect()
    found.sort(key=itemgetter("day"), reverse=True)
    last = list(takewhile(itemgetter("is_open"), found))
    if len(last) in (0, len(found)):
        return table, ()
    refuse_keys(table, spec.keys, table.agg(*key_counts(table, spec.keys)).first().asDict())
    dates = ", ".join(str(row["day"]) for row in reversed(last))
    count = sum(row["churners"] for row in last)
    return table.where((day < F.lit(last[-1]["day"])) | day.isNull()), (
        f"The rows as of {dates} are left out: only who churned has a label there ({count:,} "
        f"row{'s' * (count != 1)}), so the days that it looks at are not over.",
    )


def outlived(table: DataFrame, spec: TableSpec) -> tuple[str, ...]:
    """A note if users have rows after the days in which their label says that they churned.

    Those days may be more than `spec.horizon_days`, and then outcomes are learned from before they
    were known. One Spark job, and none of a table without dates, or whose meaning is declared.
    """
    if spec.time is None or spec.definitions:
        return ()
    day = F.to_date(quote(spec.time))
    is_churner = F.expr(f"{parsing.label(quote(spec.label))} = 1")
    users = table.groupBy(quote(spec.id)).agg(
        F.min(F.when(is_churner, day)).alias(f"{PREFIX}churned"), F.max(day).alias(f"{PREFIX}last")
    )
    days = F.date_diff(f"{PREFIX}last", f"{PREFIX}churned")
    count = users.where(days >= spec.horizon_days).count()
    if not count:
        return ()
    return (
        f"{count:,} user{' has' if count == 1 else 's have'} a row {spec.horizon_days} days and "
        "more after one whose label says that they churned. If they did not come back, the label "
        "looks further ahead: --horizon-days says how far.",
    )


def label_rows(table: DataFrame, spec: TableSpec) -> tuple[DataFrame, Labelled]:
    """The rows with an observed label, as ml__label 0.0 or 1.0, and their counts. One Spark job.

    Raises:
        TableMismatch: a label that is none of `parsing.LABELS`, or any row, labelled or not, as in
            `refuse_keys`.
    """
    name = quote(spec.label)
    label, user = F.expr(parsing.label(name)), F.col(quote(spec.id))
    other = f"{parsing.is_given(name)} and {parsing.label(name)} is null"
    found = table.agg(
        F.count(label).alias("rows"),
        F.count_if(label == 1).alias("positives"),
        F.count_distinct(F.when(label.isNotNull(), user)).alias("users"),
        F.count_distinct(F.when(label == 1, user)).alias("churners"),
        F.min(F.expr(f"if({other}, cast({name} as string), null)")).alias("other"),
        *key_counts(table, spec.keys),
    ).first()
    if found["other"] is not None:
        raise TableMismatch(
            f"Label `{spec.label}` holds `{found['other']}`; it must be {parsing.LABELS}."
        )
    refuse_keys(table, spec.keys, found.asDict())
    labelled = with_label(table, spec)
    facts = ("rows", "positives", "users", "churners")
    return labelled, Labelled(**{name: found[name] for name in facts})


def with_label(table: DataFrame, spec: TableSpec) -> DataFrame:
    """The rows whose label is observed, as ml__label."""
    label = F.expr(parsing.label(quote(spec.label)))
    return table.withColumn(LABEL, label).filter(F.col(LABEL).isNotNull())


def key_counts(table: DataFrame, keys: Sequence[str]) -> list[SparkColumn]:
    """Aggregates for `refuse_keys`: all rows, distinct keys, and rows without each key."""
    types = dict(table.dtypes)
    distinct = F.count_distinct(F.struct(*map(quote, keys)))
    missing = [
        F.count_if(F.expr(_is_missing(key, types[key]))).alias(f"missing_{i}")
        for i, key in enumerate(keys)
    ]
    return [F.count(F.lit(1)).alias("all_rows"), distinct.alias("distinct_keys"), *missing]


def refuse_keys(table: DataFrame, keys: Sequence[str], found: dict[str, int]) -> None:
    """Refuse rows without a key, and rows whose keys are those of another, with an example.

    `found`: the `key_counts` of `table`. A Spark job only where there is something to show.

    Raises:
        TableMismatch: names the columns, the count and an example.
    """
    for i, key in enumerate(keys):
        if count := found[f"missing_{i}"]:
            missing = F.expr(_is_missing(key, dict(table.dtypes)[key]))
            others = [quote(name) for name in table.columns if name not in keys][:3]
            row = table.filter(missing).select(*others).first().asDict()
            shown = ", ".join(f"`{name}` {value}" for name, value in row.items())
            have = "row has" if count == 1 else "rows have"
            raise TableMismatch(
                f"{count} {have} no `{key}`{f', such as the one with {shown}' if shown else ''}; "
                "each row must have one: fill it in, or leave the row out."
            )
    if repeated := found["all_rows"] - found["distinct_keys"]:
        named = " and ".join(f"`{key}`" for key in keys)
        count = F.count(F.lit(1)).alias(f"{PREFIX}count")
        groups = table.groupBy(*map(quote, keys)).agg(count).filter(f"{PREFIX}count > 1")
        values = groups.orderBy(*map(quote, keys)).select(*map(quote, keys)).first()
        raise TableMismatch(
            f"{repeated} {'row repeats' if repeated == 1 else 'rows repeat'} the {named} of "
            f"another, such as {' and '.join(f'`{value}`' for value in values)}; there must be one "
            f"row for each{' pair' if len(keys) > 1 else ', or a date that --time names'}."
        )


def check_keys(keys: Sequence[str]) -> None:
    """Raise TableMismatch if a key is named like a column that scores and explanations have."""
    for key in keys:
        if key.lower() in RESERVED or key.lower().startswith(PREFIX):
            raise TableMismatch(f"Column `{key}` is named like one of the scores: rename it.")


def check_apart(keys: Sequence[str], features: Sequence[Feature]) -> None:
    """Raise TableMismatch if a key is a column that the model reads."""
    names = {each.name.lower() for each in features}
    for key in keys:
        if key.lower() in names:
            raise TableMismatch(
                f"Column `{key}` is read by the model: it cannot be the id or the time as well."
            )


def check_named(names: Collection[str], name: str, *, role: str) -> None:
    """Raise TableMismatch, with the nearest name, if `name` is not among the table's `names`."""
    if name not in names:
        like = nearest(name, names)
        hint = f"did you mean `{like}`?" if like else f"it has {_some(names)}."
        raise TableMismatch(f"The table has no column `{name}` (given as {role}); {hint}")


def nearest(name: str, names: Collection[str]) -> str | None:
    """The one of `names` that is most like `name`, whatever the case; None if none is."""
    folded = {each.strip().casefold(): each for each in names}
    found = get_close_matches(name.strip().casefold(), folded, n=1, cutoff=0.7)
    return folded[found[0]] if found else None


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
            f"In the rows whose outcome is known {found.churners} "
            f"user{'s' if found.churners > 1 else ''} churned, {min_churners} are needed: give a "
            "longer history or more users."
        )


def check_features(columns: Columns) -> None:
    """Raise NotTrainable if no feature is left."""
    if not columns.features:
        why = "; ".join(f"`{name}` {reason}" for name, reason in columns.dropped)
        raise NotTrainable(f"No column is left to learn from{': ' + why if why else ''}.")


def _is_missing(key: str, kind: str) -> str:
    value = quote(key)
    if kind == "string":
        return f"not {parsing.is_value(value)}"
    return f"({value} is null or isnan({value}))" if kind in FLOATS else f"{value} is null"


def _some(names: Collection[str]) -> str:
    shown = ", ".join(f"`{name}`" for name in list(names)[:10])
    return shown + (f" and {len(names) - 10} more" if len(names) > 10 else "")
