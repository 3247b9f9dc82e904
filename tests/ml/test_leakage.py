import numpy as np
import pandas as pd
import pytest
from pyspark.sql import functions as F
from sklearn.metrics import roc_auc_score

from ml import leakage
from ml.errors import NotTrainable
from ml.leakage import refuse_leaks, separation
from ml.preprocessing import find_columns
from ml.protocol import LABEL
from ml.table_spec import Labelled


@pytest.fixture(scope="module")
def rows(spark):
    """120 rows of 60 users: honest columns, and three that know the outcome."""
    generator = np.random.default_rng(6)
    y = generator.random(120) < 0.3
    table = pd.DataFrame(
        {
            "user_id": [f"u{i // 2}" for i in range(120)],
            LABEL: y.astype(float),
            "thumbs": generator.poisson(12 + 4 * y),
            "platform": generator.choice(["mac", "ios", "web"], 120),
            "is_paid": generator.random(120) < 0.5,
            "days, left": np.where(y, generator.integers(1, 14, 120), np.nan),
            "still_here": np.where(y, 0.0, generator.random(120) + 0.1),
            "last_page": np.where(y, generator.choice(["bye", "so long"], 120), "home"),
            "status": np.where(y, 1, generator.choice([0, 2], 120)),
        }
    )
    clean = table.astype(object).where(table.notna(), None)
    schema = (
        f"user_id string, {LABEL} double, thumbs int, platform string, is_paid boolean, "
        "`days, left` double, still_here double, last_page string, status int"
    )
    return spark.createDataFrame(clean.values.tolist(), schema).coalesce(1).cache()


def counted(rows):
    positives = rows.filter(F.col(LABEL) > 0)
    users = [table.select("user_id").distinct().count() for table in (rows, positives)]
    return Labelled(rows.count(), positives.count(), *users)


def features(rows):
    return find_columns(rows, ignore=("user_id", LABEL))


def test_the_separation_of_a_column_is_its_auc_in_the_better_direction(rows):
    found = separation(rows, features(rows), user="user_id", found=counted(rows))
    table = rows.toPandas()
    by_column = found.set_index("column")["separation"]

    auc = roc_auc_score(table[LABEL], table["thumbs"])
    assert by_column["thumbs"] == pytest.approx(max(auc, 1 - auc))
    assert by_column[["days, left", "still_here", "last_page", "status"]].tolist() == [1] * 4
    assert by_column["platform"] < 0.7
    assert found["separation"].is_monotonic_decreasing
    assert len(found) == 7


def test_columns_that_know_the_outcome_are_refused_by_name_with_the_remedy(rows):
    with pytest.raises(NotTrainable) as refused:
        refuse_leaks(rows, features(rows), user="user_id", found=counted(rows))

    message = str(refused.value)
    names = "'\"days, left\",last_page,status,still_here'"
    assert "`days, left` (ROC AUC 1.000), `last_page` (ROC AUC 1.000), `status`" in message
    assert f"--exclude {names}" in message
    assert f"--allow {names}" in message
    assert "thumbs" not in message
    assert "\n" not in message


def test_the_limit_is_an_auc_of_97_percent(spark):
    """A column that marks a share of the churners only has an AUC of 1/2 + share / 2."""
    data = [(f"u{i}", float(i < 100), i < 93, i < 95) for i in range(200)]
    marked = spark.createDataFrame(
        data, f"user_id string, {LABEL} double, below boolean, above boolean"
    ).coalesce(1)
    with pytest.raises(NotTrainable) as refused:
        refuse_leaks(marked, features(marked), user="user_id", found=counted(marked))

    assert str(refused.value).startswith("`above` (ROC AUC 0.975): alone it tells")
    below = marked.drop("above")
    assert refuse_leaks(below, features(below), user="user_id", found=counted(below)) == ()


def test_a_column_allowed_by_name_is_kept_and_said_to_be(rows):
    few = rows.drop("days, left", "last_page", "status")
    notes = refuse_leaks(
        few, features(few), user="user_id", found=counted(rows), allow=("still_here",)
    )

    assert len(notes) == 1
    assert "`still_here` tells churners from the others nearly alone" in notes[0]


def test_honest_columns_pass_without_a_word(rows):
    honest = rows.select("user_id", LABEL, "thumbs", "platform", "is_paid")

    assert refuse_leaks(honest, features(honest), user="user_id", found=counted(rows)) == ()


def test_a_large_table_is_judged_by_some_users_of_each_class(rows, monkeypatch):
    numbers = rows.select("user_id", LABEL, "thumbs", "still_here")
    found = counted(numbers)
    monkeypatch.setattr(leakage, "SAMPLE_ROWS", 50)
    table = separation(numbers, features(numbers), user="user_id", found=found)

    assert found.positives < 50 < found.rows - found.positives
    place = F.pmod(F.xxhash64("user_id"), F.lit(1_000_000)) / 1_000_000
    others = place < 50 / (found.rows - found.positives)
    part = rows.filter((F.col(LABEL) > 0) | others).toPandas()
    assert len(part) < 120
    auc = roc_auc_score(part[LABEL], part["thumbs"])
    assert table.set_index("column")["separation"]["thumbs"] == pytest.approx(max(auc, 1 - auc))
