"""What a training on an earlier version of the snapshots may replace."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from ml.table_spec import TableSpec
from sparkify.commands import train
from sparkify.commands.train import keep_champion
from sparkify.datasets import Dataset
from sparkify.errors import WrongUse


def table(horizon_days: int) -> Dataset:
    """A table without features."""
    rows = SimpleNamespace(
        dtypes=[("user_id", "string"), ("as_of_date", "date")],
        schema=SimpleNamespace(fields=[]),
    )
    spec = TableSpec(
        id="user_id",
        time="as_of_date",
        name="sparkify.fct_user_snapshots",
        version=3,
        definitions={"horizon_days": str(horizon_days)},
    )
    return Dataset(rows, spec)


def test_an_earlier_version_of_another_horizon_does_not_retire_the_champion(monkeypatch):
    card = {"spec": {"horizon_days": 14, "label": "is_churned_next_14d"}, "features": []}
    champion = SimpleNamespace(name="sparkify-churn", version=2, metadata=card)
    monkeypatch.setattr(train, "champion_of", lambda *_: (champion, ""))
    keep_champion(None, table(14), table(14))
    with pytest.raises(WrongUse, match="version 3 of .* 14, and the table of 7. Train it apart"):
        keep_champion(None, table(7), table(14))
    monkeypatch.setattr(train, "champion_of", lambda *_: (None, "It does not fit."))
    keep_champion(None, table(7), table(14))
    then = table(14)
    then = replace(then, spec=replace(then.spec, definitions={train.AS_OF_THEN: "those of 3"}))
    with pytest.raises(WrongUse, match="by other definitions than the tables of now"):
        keep_champion(None, then, table(14))
