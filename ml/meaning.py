"""What the rows and the label of a table mean, and whether a model's are the same."""

from collections.abc import Mapping, Sequence
from typing import Any

from pyspark.sql import DataFrame

from ml.artifacts import features_of
from ml.errors import TableMismatch
from ml.preprocessing import Columns
from ml.scoring import check_columns


def misfit(
    card: Mapping[str, Any],
    rows: DataFrame,
    *,
    keys: Sequence[str],
    definitions: Mapping[str, str],
) -> str | None:
    """Why the model of a card cannot score a table, as a sentence; None if it can.

    `definitions` of the table are held against those of the model, as far as both are known; then
    its columns against what the model reads. A column of which something can be read fits: to
    score it all of it has to, but to be compared on it the model can miss a value or two.
    """
    if other := other_meaning(card, definitions):
        return other
    try:
        check_columns(rows, Columns(features_of(card)), keys=list(keys), is_any_enough=True)
    except TableMismatch as error:
        return str(error)
    return None


def other_meaning(card: Mapping[str, Any], definitions: Mapping[str, str]) -> str | None:
    """In what the model of a card means something else than a table of `definitions`, or None."""
    learned = meaning(card["spec"])
    other = [
        f"{name} {learned[name]}, and the table of {value}"
        for name, value in definitions.items()
        if learned.get(name, value) != value
    ]
    return f"The model is of {'; of '.join(other)}." if other else None


def meaning(spec: Mapping[str, Any]) -> dict[str, str]:
    """What the rows and the label of a table mean, by name, from its spec in a card.

    Of a table without definitions all that is known of its label is the name.
    """
    known = spec.get("definitions") or {"label": spec["label"]}
    horizon = spec["horizon_days"]
    return ({} if horizon is None else {"horizon_days": str(horizon)}) | known
