"""From a table's schema to the vectors that learners read, as stock pipeline stages."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from pyspark.ml import PipelineModel
from pyspark.ml.feature import (
    OneHotEncoder,
    SQLTransformer,
    StandardScaler,
    StringIndexer,
    VectorAssembler,
)
from pyspark.sql import Column as SparkColumn
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import BooleanType, DataType, NullType, NumericType, StringType

from ml import parsing

# Every column that a pipeline adds begins so, and no column that does is taken as a feature.
PREFIX = "ml__"
FEATURES = f"{PREFIX}features"
SCALED = f"{PREFIX}scaled"
CORE = f"{PREFIX}core"
# Before the columns of a table, one of which may be called label, or features.
OF_TABLE = f"{PREFIX}of_"
# The category of rows without one.
NONE = "(none)"
# A number as large as this or larger is as good as infinite: its square is.
LARGEST = 1e150
# How SQLTransformer calls its table: it is replaced wherever it stands.
THIS = "__THIS__"

# Values beyond these quantiles are read as the quantiles: of a linear model a few rows must not
# decide, however far they lie.
TAILS = (0.001, 0.999)
# A nonnegative column whose upper tail is this many times its mean is read on a log scale. Not its
# median: that of a count which is mostly 0 would send every such count there. Nor its largest
# value, which grows with the number of rows.
SKEW = 20
MIN_CATEGORIES, MAX_CATEGORIES, USERS_PER_CATEGORY = 10, 100, 200
# On fewer rows a count may well take every value once.
MIN_NUMBERED = 20
WHO = ("user", "customer", "client", "account", "member", "subscriber", "session", "device")
# Index columns: pandas names them so in Parquet, and so when it reads a CSV file that it wrote, or
# wrote more than once.
PANDAS_INDEX = re.compile(r"__index_level_\d+__|Unnamed: 0(\.\d+)?")
# It names further levels so, and those of reset_index, but so may others a column: values decide.
MAYBE_INDEX = re.compile(r"Unnamed: \d+(\.\d+)?|level_\d+|index")
IS_INDEX = "is the row index that pandas wrote, not a feature"


@dataclass(frozen=True)
class Feature:
    """A column that a model reads: its name, Spark type, and numeric, boolean or category.

    A number or boolean of type string is one that the table holds as text.
    """

    name: str
    type: str
    kind: str


@dataclass(frozen=True)
class Columns:
    """The features of a table, and why each other column is not one: (name, reason).

    notes: what is odd about the features, as sentences. core: the names of the few that little
    data is enough for; none, if nothing says which they are.
    """

    features: tuple[Feature, ...]
    dropped: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()
    core: tuple[str, ...] = ()

    @property
    def names(self) -> list[str]:
        return [feature.name for feature in self.features]


def find_columns(table: DataFrame, *, ignore: Sequence[str]) -> Columns:
    """Sort the columns of `table` by type; needs no Spark job.

    Numbers, booleans and strings are features. Dates, timestamps, nested types and the index that
    pandas wrote are named in `dropped`; those in `ignore` are left out silently.
    """
    features, dropped = [], []
    for field in table.schema.fields:
        kind = _kind(field.dataType)
        if field.name in ignore:
            continue
        if field.name.lower().startswith(PREFIX):
            dropped.append((field.name, f"names that begin with {PREFIX} are reserved"))
        elif THIS in field.name:
            dropped.append((field.name, f"{THIS} stands for the table where Spark reads a row"))
        elif PANDAS_INDEX.fullmatch(field.name):
            dropped.append((field.name, IS_INDEX))
        elif isinstance(field.dataType, NullType):
            dropped.append((field.name, "has no values"))
        elif kind is None:
            dropped.append((field.name, f"type {field.dataType.simpleString()} is not a feature"))
        else:
            features.append(Feature(field.name, field.dataType.simpleString(), kind))
    return Columns(tuple(features), tuple(dropped))


def find_written(table: DataFrame, columns: Columns) -> Columns:
    """`columns`, with the texts that hold numbers, or true and false, named as what they hold.

    A column holds numbers if all its values are; blanks, NA and the like are missing values. Texts
    that hold dates are dropped as dates are. One Spark job, and none where no column is text.
    """
    texts = [feature for feature in columns.features if feature.kind == "category"]
    if not texts:
        return columns
    aggregates = []
    for i, feature in enumerate(texts):
        value = quote(feature.name)
        boolean = f"lower({parsing.text(value)}) in ('true', 'false')"
        aggregates += [
            F.count_if(F.expr(parsing.is_value(value))).alias(f"given_{i}"),
            F.count(F.expr(parsing.number(value))).alias(f"numeric_{i}"),
            F.count_if(F.expr(boolean)).alias(f"boolean_{i}"),
            F.count_if(F.expr(parsing.is_date(value))).alias(f"date_{i}"),
        ]
    found = table.agg(*aggregates).first()
    held, dates = {}, []
    for i, feature in enumerate(texts):
        if found[f"given_{i}"] == found[f"date_{i}"] > 0:
            dates.append(feature.name)
        for kind in ("numeric", "boolean"):
            if found[f"given_{i}"] == found[f"{kind}_{i}"] > 0:
                held[feature.name] = replace(feature, kind=kind)
    features = tuple(held.get(feature.name, feature) for feature in columns.features)
    columns = replace(columns, features=features)
    return leave_out(columns, dates, reason="holds dates, which are not a feature")


def read_written(table: DataFrame, features: Sequence[Feature]) -> DataFrame:
    """`table` with each of `features` as what it is: numbers and booleans that are text are read.

    What cannot be read is null; see `find_unreadable`.
    """
    kinds = {field.name: _kind(field.dataType) for field in table.schema.fields}
    wanted = {feature.name: feature for feature in features}
    read = []
    for name in table.columns:
        value = quote(name)
        if name in wanted and kinds[name] != wanted[name].kind:
            value = f"{_reading(value, wanted[name].kind)} as {value}"
        read.append(value)
    return table.selectExpr(*read)


def find_unreadable(
    table: DataFrame, features: Sequence[Feature], *, is_any_enough: bool = False
) -> dict[str, SparkColumn]:
    """For each column whose type is not that of its feature: the first value that cannot be read.

    As aggregates, null where all can be: of text what is no number, of numbers what is not 0 or 1
    for a boolean, and of any other type every value. is_any_enough: null where any can be.
    """
    kinds = {field.name: _kind(field.dataType) for field in table.schema.fields}
    first = {}
    for feature in features:
        kind, value = kinds[feature.name], quote(feature.name)
        if kind == feature.kind:
            continue
        if isinstance(table.schema[feature.name].dataType, NullType):
            continue
        readable = kind == "category" or (kind, feature.kind) == ("numeric", "boolean")
        wrong = f"{_reading(value, feature.kind)} is null" if readable else "true"
        given = f"{parsing.is_value(value)} and {wrong}" if kind else f"{value} is not null"
        first[feature.name] = F.min(F.expr(f"if({given}, cast({value} as string), null)"))
        if is_any_enough and readable:
            count = F.count(F.expr(_reading(value, feature.kind)))
            first[feature.name] = F.when(count == 0, first[feature.name])
    return first


def screen(table: DataFrame, columns: Columns, *, keys: Sequence[str], users: int) -> Columns:
    """Drop what cannot help: empty, constant, id-like and repeated columns, too many categories.

    Looks at features only, never at the label. A category needs `USERS_PER_CATEGORY` users on
    average, within `MIN_CATEGORIES` and `MAX_CATEGORIES`. Of columns that are equal in every row
    the first is kept. `keys` tell the rows apart. One Spark job, and one more where a column is
    named like an index.
    """
    columns = leave_out(columns, _indexes(table, columns), reason=IS_INDEX)
    if not columns.features:
        return columns
    limit = min(max(users // USERS_PER_CATEGORY, MIN_CATEGORIES), MAX_CATEGORIES)
    aggregates = ["count(*) as rows"]
    for i, feature in enumerate(columns.features):
        aggregates += [f"{each} as {name}_{i}" for name, each in _looks(feature, keys).items()]
    found = table.selectExpr(*aggregates).first().asDict()
    kept, dropped, notes = [], list(columns.dropped), list(columns.notes)
    first: dict[tuple, str] = {}
    for i, feature in enumerate(columns.features):
        facts = {name: found[f"{name}_{i}"] for name in _looks(feature, keys)}
        same = first.setdefault((feature.kind == "category", facts["same"]), feature.name)
        reason = _useless(feature, facts, rows=found["rows"], users=users, limit=limit)
        if reason is None and same != feature.name:
            reason = f"equals `{same}` in every row"
        if reason:
            dropped.append((feature.name, reason))
            continue
        kept.append(feature)
        if facts.get("infinite"):
            notes.append(
                f"`{feature.name}` is infinite, or all but so, in {facts['infinite']} rows: as if "
                "missing."
            )
    core = tuple(feature.name for feature in kept if feature.name in columns.core)
    return Columns(tuple(kept), tuple(dropped), tuple(notes), core)


def leave_out(columns: Columns, names: Collection[str], *, reason: str) -> Columns:
    """`columns` without `names`, which are dropped for `reason`."""
    kept = tuple(feature for feature in columns.features if feature.name not in names)
    gone = ((name, reason) for name in columns.names if name in names)
    core = tuple(name for name in columns.core if name not in names)
    return replace(columns, features=kept, dropped=(*columns.dropped, *gone), core=core)


def fit_preparation(train: DataFrame, columns: Columns, *, scaled: bool) -> PipelineModel:
    """Fit the stages that turn raw columns into the vector `ml__features`.

    One SQLTransformer casts, replaces null, NaN and infinity by the median of `train`, marks
    with a 0/1 column what was missing, cuts the tails, and takes the log of skewed columns; strings
    are indexed and one-hot encoded, with a place for values not seen in `train`. A core adds
    `ml__core`, the part of the vector that is of the core columns. `scaled` adds `ml__scaled`, the
    whole vector with mean 0 and deviation 1, for learners that do not standardize by themselves.
    Reads no label.
    """
    statement, numbers, texts = _cleaning(train, columns)
    stages = [SQLTransformer(statement=statement)]
    current = stages[0].transform(train)
    if texts:
        codes = [f"{text}_code" for text in texts]
        vectors = [f"{text}_vector" for text in texts]
        indexer = StringIndexer(inputCols=texts, outputCols=codes, handleInvalid="keep")
        stages.append(indexer.fit(current))
        current = stages[-1].transform(current)
        stages.append(OneHotEncoder(inputCols=codes, outputCols=vectors).fit(current))
        current = stages[-1].transform(current)
        numbers = [*numbers, *vectors]
    stages.append(VectorAssembler(inputCols=numbers, outputCol=FEATURES))
    if columns.core:
        stages.append(VectorAssembler(inputCols=_of_core(numbers, columns), outputCol=CORE))
    if scaled:
        current = stages[-1].transform(current)
        scaler = StandardScaler(inputCol=FEATURES, outputCol=SCALED, withMean=True)
        stages.append(scaler.fit(current))
    return PipelineModel(stages)


def typical_row(table: DataFrame, columns: Columns) -> dict[str, object]:
    """The typical user: the median of each number, the most frequent of each other column."""
    found = table.selectExpr(
        *(
            f"percentile_approx({clean(feature)}, 0.5) as {quote(feature.name)}"
            if feature.kind == "numeric"
            else f"mode({quote(feature.name)}, true) as {quote(feature.name)}"
            for feature in columns.features
        )
    )
    return found.first().asDict()


def quote(name: str) -> str:
    """The column name as SQL."""
    return "`" + name.replace("`", "``") + "`"


def clean(feature: Feature) -> str:
    """SQL for the value as a double; null from LARGEST on, so for infinity and for NaN too."""
    is_text = feature.kind != "category" and feature.type == "string"
    text = _reading(quote(feature.name), feature.kind) if is_text else quote(feature.name)
    value = f"cast({text} as double)"
    return f"if(abs({value}) < {LARGEST!r}D, {value}, null)"


def safe_names(columns: Columns) -> list[str]:
    """Names that need no quoting: MLlib reads a dot in a column's name as a struct's field."""
    names: list[str] = []
    taken: set[str] = set()
    for i, feature in enumerate(columns.features):
        name = OF_TABLE + re.sub(r"\W", "_", feature.name.lower(), flags=re.ASCII)
        # A column `age_missing` must not meet the mark of what is missing in `age`.
        while taken & (own := {name, *(name + each for each in ("_missing", "_code", "_vector"))}):
            name = f"{name}_{i}"
        taken |= own
        names.append(name)
    return names


def _of_core(numbers: Sequence[str], columns: Columns) -> list[str]:
    """Those of the prepared columns that are made of a column of the core."""
    names = zip(columns.names, safe_names(columns), strict=True)
    made = {
        each
        for name, safe in names
        if name in columns.core
        for each in (safe, f"{safe}_missing", f"{safe}_vector")
    }
    return [each for each in numbers if each in made]


def _cleaning(train: DataFrame, columns: Columns) -> tuple[str, list[str], list[str]]:
    """The SQL that cleans a row, and the names of the numbers and texts that it adds."""
    numeric = [feature for feature in columns.features if feature.kind != "category"]
    facts = _facts(train, numeric)
    parts, numbers, texts = [], [], []
    for feature, name in zip(columns.features, safe_names(columns), strict=True):
        if feature.kind == "category":
            value = f"nullif({parsing.text(quote(feature.name))}, '')"
            parts.append(f"coalesce({value}, '{NONE}') as {name}")
            texts.append(name)
            continue
        missing, (low, median, high), mean = facts[feature.name]
        value = f"coalesce({clean(feature)}, {median!r}D)"
        if feature.kind == "numeric":
            value = f"least(greatest({value}, {low!r}D), {high!r}D)"
            if low >= 0 and high > SKEW * mean:
                value = f"log1p({value})"
        parts.append(f"{value} as {name}")
        numbers.append(name)
        if missing:
            parts.append(f"cast({clean(feature)} is null as double) as {name}_missing")
            numbers.append(f"{name}_missing")
    return f"select *, {', '.join(parts)} from {THIS}", numbers, texts


def _facts(train: DataFrame, numeric: list[Feature]) -> dict[str, tuple]:
    """For each column: rows without a value; the lower tail, median and upper tail; the mean.

    One row a value, so that the plan is as small for many columns as for one.
    """
    if not numeric:
        return {}
    names = {f"c{i}": feature.name for i, feature in enumerate(numeric)}
    values = [f"{clean(each)} as {c}" for c, each in zip(names, numeric, strict=True)]
    value = F.col("value")
    quantiles, none = [TAILS[0], 0.5, TAILS[1]], F.array(*[F.lit(0.0)] * 3)
    found = (
        train.selectExpr(*values)
        .unpivot([], list(names), "column", "value")
        .groupBy("column")
        .agg(
            F.count_if(value.isNull()),
            F.coalesce(F.percentile_approx(value, quantiles), none),
            F.coalesce(F.avg(value), F.lit(0.0)),
        )
    )
    return {names[column]: tuple(facts) for column, *facts in found.collect()}


def _indexes(table: DataFrame, columns: Columns) -> list[str]:
    """The columns named like an index that are a whole number in each row, and in no two the same.

    Rows may be missing and in any order, so they need not number the rows. They are counted apart:
    of what `screen` looks at, nothing else needs an exact count of distinct values.
    """
    named = [
        feature
        for feature in columns.features
        if feature.kind == "numeric" and MAYBE_INDEX.fullmatch(feature.name)
    ]
    if not named:
        return []
    values = [F.expr(clean(feature)) for feature in named]
    distinct = [F.count_distinct(F.when(value == F.rint(value), value)) for value in values]
    rows, *counts = table.agg(F.count(F.lit(1)), *distinct).first()
    return [
        feature.name
        for feature, count in zip(named, counts, strict=True)
        if count == rows >= MIN_NUMBERED
    ]


def _looks(feature: Feature, keys: Sequence[str]) -> dict[str, str]:
    """What `screen` wants to know of a column, as aggregates in SQL."""
    category, text = feature.kind == "category", quote(feature.name)
    value = parsing.text(text) if category else clean(feature)
    looks = {
        "count": f"count({value})",
        "min": f"min({value})",
        "max": f"max({value})",
        # Equal for columns that are equal row by row, whatever the order of rows.
        "same": f"bit_xor(xxhash64({', '.join([value, *map(quote, keys)])}))",
    }
    # A sketch for every column would cost more than the rest of the job.
    if category:
        odd = f"{parsing.is_value(text)} and {parsing.number(text)} is null"
        looks["given"] = f"count_if({parsing.is_value(text)})"
        looks["like_numbers"] = f"count_if({parsing.text(text)} rlike '{parsing.LIKE_NUMBER}')"
        looks["odd"] = f"min(if({odd}, {text}, null))"
    if category or _named_id(feature.name):
        looks["distinct"] = f"approx_count_distinct({value}, 0.02)"
    if feature.type in ("float", "double"):
        looks["infinite"] = f"count_if(abs({text}) >= {LARGEST!r}D and not isnan({text}))"
    if feature.kind == "numeric" and feature.type in ("int", "bigint", "string"):
        looks["sum"] = f"sum({value})"
    return looks


def _useless(feature: Feature, facts: dict, *, rows: int, users: int, limit: int) -> str | None:
    """Why the column cannot help, or None."""
    if facts["count"] == 0 or facts.get("given") == 0:
        return "has no values"
    if facts["min"] == facts["max"] and facts["count"] == rows:
        return f"is constant ({facts['min']})"
    if feature.kind == "category":
        mixed = facts["odd"] is not None and facts["like_numbers"] >= facts["given"] / 2
        if facts["distinct"] > limit and mixed:
            return (
                f"is text because of values such as `{facts['odd']}`: write numbers as 1234.5 and "
                "leave unknown ones blank; a date is no number, but the days since it are"
            )
        if facts["distinct"] > max(limit, 0.9 * min(users, facts["count"])):
            return "looks like an id: nearly every user has a value of their own"
        if facts["distinct"] > limit:
            return f"has about {facts['distinct']} categories, more than {limit} for {users} users"
    elif _named_id(feature.name) and facts["distinct"] > 0.9 * users:
        if feature.type == "string":
            return "is named like an id, and nearly every user has a number of their own"
        return "looks like an id: nearly every user has a value of their own"
    elif "sum" in facts and _counts_rows(facts, rows):
        return (
            "numbers the rows"
            if feature.type == "string"
            else "looks like an id: it numbers the rows"
        )
    return None


def _counts_rows(facts: dict, rows: int) -> bool:
    """Whether the values are n, n + 1, n + 2 ... in some order, as far as a sum can tell."""
    low, high = facts["min"], facts["max"]
    return (
        rows == facts["count"] >= MIN_NUMBERED
        and high - low + 1 == rows
        and facts["sum"] == (low + high) * rows / 2
    )


def row_hash(features: Sequence[Feature]) -> str:
    """SQL of a hash of what a row says by its features, whatever number types these have."""
    types = {"category": "string"}
    values = [
        f"cast({quote(each.name)} as {types.get(each.kind, 'double')})"
        for each in sorted(features, key=lambda feature: feature.name)
    ]
    # A null leaves a hash as it is, so each value stands beside its place.
    return f"xxhash64({', '.join(f'{value}, {i}' for i, value in enumerate(values))})"


def _named_id(name: str) -> bool:
    """Whether a name ends in id as a word of its own: CONTRACTID does, TOTAL_PAID does not."""
    if re.search(r"(PA|VAL|GR|AVO|FLU|RAP|HYBR|B)ID$", name):
        return False
    return re.search(r"(^|_)(id|Id)$|ID$|[a-z]Id$", name) is not None or bool(
        re.search(f"({'|'.join(WHO)})id$", name.lower())
    )


def _kind(data_type: DataType) -> str | None:
    if isinstance(data_type, NumericType):
        return "numeric"
    if isinstance(data_type, BooleanType):
        return "boolean"
    return "category" if isinstance(data_type, StringType) else None


def _reading(value: str, kind: str) -> str:
    """SQL that reads a value of another type as a number, boolean or category."""
    if kind == "category":
        return f"cast({value} as string)"
    return parsing.number(value) if kind == "numeric" else parsing.truth(value)
