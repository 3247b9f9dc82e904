"""Which features drift between two tables, by a bound that knows how few users there are."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from ml import parsing
from ml.covariate_shift import check_scoring
from ml.preprocessing import NONE, PREFIX, Columns, Feature, clean, quote

BINS = 10
# From here on a population stability index is said to be a large shift, by convention.
LARGE = 0.25
# The chi-square approximation wants this many rows in a cell; rarer categories are put together,
# and neighbouring bins of a number.
MIN_EXPECTED = 5
LEVEL = 0.05


@dataclass(frozen=True)
class Reference:
    """What a table is held against: all that is needed of the rows that a model learned from.

    size: how many independent rows they are worth. edges: of each number, the distinct inner
    deciles. counts: of each column, rows by the name of their bin. past: of each column, the
    largest psi between a date of the backtest and the rows that it was predicted from.
    """

    size: float
    edges: dict[str, list[float]]
    counts: dict[str, dict[str, int]]
    past: dict[str, float] = field(default_factory=dict)


def find_reference(
    training: DataFrame,
    columns: Columns,
    *,
    user: str,
    past: Sequence[tuple[str, Column, Column]] = (),
) -> Reference:
    """Summarise the rows that a model learned from; it fits into JSON.

    Bins are the deciles of `training`, and one for missing values; categories are bins of their
    own. past: by name, which rows of `training` were known then and which were predicted; these
    differed as is usual, for the model was tested on them. Three Spark jobs on one partition.
    """
    edges = _edges(training, columns)
    sides = [side for _, *both in past for side in both]
    size, *sizes = _effective_sizes(training, user=user, parts=sides)
    counts, *parts = _counts(training, columns, edges, parts=sides)
    worth = list(zip(parts, sizes, strict=True))
    largest = {
        feature.name: max(
            _compared(feature, *known, *predicted)["psi"]
            for known, predicted in zip(worth[::2], worth[1::2], strict=True)
        )
        for feature in columns.features
        if past
    }
    return Reference(size, edges, counts, largest)


def find_drift(
    reference: Reference, scoring: DataFrame, columns: Columns, *, user: str
) -> pd.DataFrame:
    """The population stability index of every feature, and whether it is more than noise.

    Returns column, psi, psi_bound (what 95 % of tables without drift stay below), psi_past (the
    largest that the model was tested through, nan if there is none), p_value, q_value, is_drifted
    (q_value below .05 and psi above psi_past), the smallest q_value first. Two Spark jobs.

    Without drift the PSI is about (1/n + 1/m) times a chi-square of bins - 1 degrees of freedom.
    n and m count independent rows: those of one user count as equal (Kish's effective size), so
    the bound is cautious. q_value bounds the share of false alarms among all features named.
    Source: Yurdakul & Naranjo (2020), Statistical properties of the population stability index,
    Journal of Risk Model Validation 14(4); Benjamini & Hochberg (1995).

    Raises:
        TableMismatch: a column is missing in `scoring`.
    """
    from scipy.stats import false_discovery_control

    check_scoring(scoring, columns, user=user)
    (size,) = _effective_sizes(scoring, user=user)
    (counts,) = _counts(scoring, columns, reference.edges)
    rows = [
        {
            "column": feature.name,
            **_compared(feature, reference.counts, reference.size, counts, size),
        }
        for feature in columns.features
    ]
    table = pd.DataFrame(rows)
    table["q_value"] = false_discovery_control(table["p_value"])
    table["psi_past"] = table["column"].map(reference.past).astype(float)
    # What counts time grows from one date to the next, in every week alike.
    table["is_drifted"] = (table["q_value"] < LEVEL) & ~(table["psi"] <= table["psi_past"])
    return table.sort_values(["q_value", "psi"], ascending=[True, False], ignore_index=True)


def find_shifted(
    reference: Reference, scoring: DataFrame, columns: Columns, *, user: str
) -> tuple[str, ...]:
    """A sentence that names the numbers that drift, and far; see `find_drift`.

    Of categories `ml.scoring.find_unseen` tells.
    """
    numbers = tuple(feature for feature in columns.features if feature.kind == "numeric")
    if not numbers:
        return ()
    found = find_drift(reference, scoring, Columns(numbers), user=user)
    names = found.loc[found["is_drifted"] & (found["psi"] >= LARGE), "column"]
    if names.empty:
        return ()
    told = ", ".join(f"`{name}`" for name in names)
    return (
        f"{told}: far from what the model learned from; see whether values are missing, or in "
        "other units.",
    )


def _edges(training: DataFrame, columns: Columns) -> dict[str, list[float]]:
    """The distinct inner deciles of each number."""
    numbers = [feature for feature in columns.features if feature.kind == "numeric"]
    if not numbers:
        return {}
    shares = ", ".join(str(i / BINS) for i in range(1, BINS))
    found = training.selectExpr(
        *(
            f"percentile_approx({clean(feature)}, array({shares})) as e{i}"
            for i, feature in enumerate(numbers)
        )
    ).first()
    return {feature.name: sorted(set(found[f"e{i}"] or [])) for i, feature in enumerate(numbers)}


def _effective_sizes(rows: DataFrame, *, user: str, parts: Sequence[Column] = ()) -> list[float]:
    """How many independent rows all and those of each part are worth.

    As if all rows of a user said the same.
    """
    counts = [F.count(F.lit(1)), *map(F.count_if, parts)]
    names = [f"{PREFIX}n{i}" for i in range(len(counts))]
    users = rows.groupBy(quote(user)).agg(
        *(each.alias(name) for each, name in zip(counts, names, strict=True))
    )
    each = [*map(F.col, names)]
    found = users.agg(*(F.try_divide(F.sum(n) ** 2, F.sum(n * n)) for n in each)).first()
    return [float(size or 0) for size in found]


def _counts(
    rows: DataFrame,
    columns: Columns,
    edges: dict[str, list[float]],
    *,
    parts: Sequence[Column] = (),
) -> list[dict[str, dict[str, int]]]:
    """Of all rows and of each part: rows by bin, for each column that has any."""
    names = {f"c{i}": feature for i, feature in enumerate(columns.features)}
    within = {f"p{i}": part for i, part in enumerate(parts)}
    binned = rows.select(
        *(F.expr(_bin(each, edges.get(each.name, []))).alias(c) for c, each in names.items()),
        *(part.alias(p) for p, part in within.items()),
    )
    long = binned.unpivot([*within], [*names], "column", "bin").groupBy("column", "bin")
    counted = long.agg(F.count(F.lit(1)).alias("all"), *(F.count_if(p).alias(p) for p in within))
    table = counted.toPandas()
    found = []
    for part in ("all", *within):
        of_part = table[table[part] > 0]
        by_column = {c: rows.set_index("bin")[part] for c, rows in of_part.groupby("column")}
        found.append(
            {
                feature.name: {bin: int(count) for bin, count in by_column[c].items()}
                for c, feature in names.items()
                if c in by_column
            }
        )
    return found


def _bin(feature: Feature, edges: list[float]) -> str:
    """SQL for the bin's name; a missing value has one of its own."""
    if feature.kind != "numeric":
        return f"coalesce(nullif({parsing.text(quote(feature.name))}, ''), '{NONE}')"
    value, ends = clean(feature), ", ".join(f"{edge!r}D" for edge in edges)
    # One call a column: a sum of comparisons would outgrow what Spark can compile. In the body of a
    # lambda a column of its argument's name, in any case, would be that argument.
    end = "edge_" if feature.name.lower() == "edge" else "edge"
    above = f"size(filter(cast(array({ends}) as array<double>), {end} -> {end} < {value}))"
    return f"if({value} is null, '{NONE}', cast({above} as string))"


def _rare(expected: pd.Series) -> pd.Index:
    """The names of the bins, and one for all that too few rows are expected in."""
    return expected.index.where(expected >= MIN_EXPECTED, "(rare)")


def _neighbours(expected: pd.Series) -> pd.Series:
    """A group for each bin of a number: neighbours until enough rows are expected in them.

    Missing values have a bin of their own, or are with the lowest ones.
    """
    ordered = expected.sort_index(key=lambda bins: bins.where(bins != NONE, "-1").astype(int))
    groups, group, so_far = {}, 0, 0.0
    for name, rows in ordered.items():
        groups[name] = group
        so_far += rows
        if so_far >= MIN_EXPECTED:
            group, so_far = group + 1, 0.0
    # Too few at the end are with those before them.
    last = max(group - 1, 0)
    return pd.Series(groups).clip(upper=last)


def _compared(
    feature: Feature,
    first: dict[str, dict[str, int]],
    n: float,
    second: dict[str, dict[str, int]],
    m: float,
) -> dict[str, float]:
    """The `_stability` of a feature between two tables, of each its counts and its size."""
    one, other = (pd.Series(each.get(feature.name, {}), dtype=float) for each in (first, second))
    return _stability(one, other, n, m, is_number=feature.kind == "numeric")


def _stability(
    first: pd.Series, second: pd.Series, n: float, m: float, *, is_number: bool
) -> dict[str, float]:
    """psi, psi_bound and p_value of two counts by bin, worth `n` and `m` independent rows."""
    from scipy.stats import chi2

    both = pd.DataFrame({"first": first, "second": second}).fillna(0.0)
    # Of both tables alike: what few rows to score are all in is no rare bin.
    expected = (both / both.sum()).mean(axis=1).fillna(0) * min(n, m)
    both = both.groupby(_neighbours(expected) if is_number else _rare(expected)).sum()
    if len(both) < 2:
        return {"psi": 0.0, "psi_bound": 0.0, "p_value": 1.0}
    # Half a row in each bin: an empty one would make the index infinite.
    p, q = (
        (share * size + 0.5) / (size + 0.5 * len(both))
        for share, size in ((both["first"] / first.sum(), n), (both["second"] / second.sum(), m))
    )
    psi, scale = float(((q - p) * np.log(q / p)).sum()), 1 / n + 1 / m
    freedom = len(both) - 1
    return {
        "psi": psi,
        "psi_bound": float(scale * chi2.ppf(1 - LEVEL, freedom)),
        "p_value": float(chi2.sf(psi / scale, freedom)),
    }
