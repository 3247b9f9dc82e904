from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
from pyspark.sql import functions as F

from ml.errors import TableMismatch
from ml.explaining import (
    BACKGROUND,
    MAX_FAMILIES,
    contributions,
    explain,
    families,
)
from ml.preprocessing import find_columns, typical_row
from ml.protocol import LABEL
from ml.scoring import DeployedModel, score
from ml.stacking import LOG_ODDS, PROBABILITY, STACK, deployed, fit
from ml.tuning import LEARNERS
from tests.reasons import expected_reasons, reasons_by_user


@pytest.fixture(scope="module")
def rows(spark):
    generator = np.random.default_rng(2)
    data = []
    for user in range(80):
        thumbs, songs = int(generator.poisson(3)), float(generator.poisson(20))
        paid, platform = bool(generator.random() < 0.5), str(generator.choice(["mac", "ios"]))
        odds = thumbs * (1 + paid) - songs / 4
        label = float(generator.random() < 1 / (1 + np.exp(-odds)))
        data.append((user, label, thumbs, None if user % 7 == 0 else songs, paid, platform))
    schema = (
        f"user_id int, {LABEL} double, thumbs_down_count_7d int, song_count_7d double, "
        "is_paid boolean, platform string"
    )
    return spark.createDataFrame(data, schema).coalesce(1).cache()


@pytest.fixture(scope="module")
def model(rows):
    """A forest, so that families interact."""
    columns = find_columns(rows, ignore=("user_id", LABEL))
    fitted = fit(
        rows,
        columns,
        keys=["user_id"],
        learners=[LEARNERS["random_forest"]],
        points={"random_forest": [{"maxDepth": 4, "numTrees": 10}]},
        folds=2,
        count=80,
        seed=1,
        parallelism=1,
    )
    return DeployedModel(
        pipeline=deployed(fitted, "random_forest"),
        features=columns.features,
        typical=typical_row(rows, columns),
        families=families(columns.names),
        name="test",
        version=1,
    )


@pytest.fixture(scope="module")
def explained(rows, model):
    found = contributions(rows.filter("user_id < 6"), model, keys=["user_id"])
    return found.toPandas().set_index("user_id").sort_index()


def brute_force(spark, row, model):
    """Shapley values by every order in which families can be given the user's values."""

    def value(known):
        mixed = dict(model.typical)
        for family in known:
            mixed |= {name: row[name] for name in model.families[family]}
        mixed["thumbs_down_count_7d"] = int(mixed["thumbs_down_count_7d"])
        schema = ", ".join(f"{feature.name} {feature.type}" for feature in model.features)
        table = spark.createDataFrame([[mixed[f.name] for f in model.features]], schema)
        return model.pipeline.transform(table).first()[LOG_ODDS]

    cache, total = {}, dict.fromkeys(model.families, 0.0)
    orders = list(permutations(model.families))
    for order in orders:
        for i, family in enumerate(order):
            before, after = frozenset(order[:i]), frozenset(order[: i + 1])
            for known in (before, after):
                if known not in cache:
                    cache[known] = value(known)
            total[family] += (cache[after] - cache[before]) / len(orders)
    return total


@pytest.fixture(scope="module")
def stack(rows, model):
    """A stack of a linear model and trees."""
    points = {
        "logistic_regression": [{"regParam": 0.01}],
        "gradient_boosted_trees": [{"stepSize": 0.2, "maxIter": 3}],
    }
    fitted = fit(
        rows,
        find_columns(rows, ignore=("user_id", LABEL)),
        keys=["user_id"],
        learners=[LEARNERS[name] for name in points],
        points=points,
        folds=2,
        count=80,
        seed=1,
        parallelism=1,
    )
    return replace(model, pipeline=deployed(fitted, STACK))


def test_an_explanation_adds_up_and_tells_every_value_beside_the_typical_one(rows, model):
    found = explain(rows.filter("user_id = 1"), model, id="user_id", time=None).toPandas()
    row = rows.filter("user_id = 1").first()
    probability, typical = found.loc[0, ["probability", "typical_probability"]]

    assert sorted(found["family"]) == sorted(model.families)
    log_odds = np.log(probability / (1 - probability))
    base = np.log(typical / (1 - typical))
    assert base + found["contribution"].sum() == pytest.approx(log_odds, abs=1e-6)
    details = found.set_index("family")["details"]
    # What is as of the typical user moves nothing, and explains nothing.
    assert row["thumbs_down_count_7d"] == 3 and list(details["likes and dislikes"]) == []
    typical = sum(row[each.name] == model.typical[each.name] for each in model.features)
    assert 0 < typical == len(model.features) - sum(map(len, details))
    busy = rows.filter("thumbs_down_count_7d > 3").first()
    who, down = busy["user_id"], busy["thumbs_down_count_7d"]
    other = explain(rows.filter(F.col("user_id") == who), model, id="user_id", time=None).toPandas()
    assert list(other.set_index("family")["details"]["likes and dislikes"]) == [
        f"thumbs down count 7d is {down}; typically 3"
    ]


def test_background_is_in_the_explanation_and_no_reason(rows, stack):
    raised = 0
    for platform in ("mac", "ios"):
        model = replace(stack, typical=stack.typical | {"platform": platform})
        background = explain(rows, model, id="user_id", time=None).filter(
            F.col("family") == BACKGROUND
        )
        raised += background.filter("contribution > 0.001").count()
        assert background.filter("is_actionable").count() == 0
        scored = score(rows, model, id="user_id", time=None)
        reasons = scored.select("reason_1", "reason_2", "reason_3").toPandas().to_numpy().ravel()
        assert not any("platform is" in str(reason) for reason in reasons)
        assert any("song count" in str(reason) for reason in reasons)
    assert raised > 0


def test_what_a_user_is_belongs_to_the_background_in_every_table():
    names = ["gender", "platform", "state", "is_left_truncated", "observed_day_count_28d"]
    others = ["page_count", "usage", "statement_count", "message_count"]
    found = families([*names, *others])

    assert found[BACKGROUND] == tuple(names)
    assert BACKGROUND not in families(["background_color", "shape", "weight"])
    # What has such a word in its name may well be something to act on.
    acted_on = ["payment_state", "account_age_days", "device_count", "os_crashes", "page_views"]
    assert BACKGROUND not in families([*acted_on, "account_age", "order_state", "message_age_max"])
    people = ["date_of_birth", "age_years", "age_band", "patient_age", "gender_male", "sex_female"]
    places = ["user_state", "Country_Code", "signup_country", "country_of_residence", "state_ca"]
    things = ["os_version", "browser_version", "device_os", "platform_id"]
    assert set(families([*people, *places, *things])) == {BACKGROUND}


def test_contributions_equal_brute_force_over_all_orders(spark, rows, model, explained):
    row = rows.filter("user_id = 1").first()

    assert explained.loc[1, "contributions"] == pytest.approx(
        brute_force(spark, row, model), abs=1e-9
    )


def test_the_typical_user_has_nothing_to_explain(rows, model):
    typical = {name: F.lit(value) for name, value in model.typical.items()}
    user = rows.filter("user_id = 1").withColumns(typical)
    row = contributions(user, model, keys=["user_id"]).first()

    assert row["log_odds"] == pytest.approx(row["base"])
    assert list(row["contributions"].values()) == pytest.approx([0] * len(model.families))


def test_reasons_are_what_the_families_that_raise_the_risk_say(rows, model, explained):
    scored = score(rows.filter("user_id < 6"), model, id="user_id", time=None).toPandas()
    assert list(scored.columns) == ["user_id", "probability", "reason_1", "reason_2", "reason_3"]
    typical = 1 / (1 + np.exp(-explained["base"].iloc[0]))
    known = replace(model, average_risk=float(typical))
    assert reasons_by_user(scored, user="user_id") == {
        row["user_id"]: expected_reasons(
            row.asDict(), explained.loc[row["user_id"]].to_dict(), known
        )
        for row in rows.filter("user_id < 6").collect()
    }


def test_scores_are_those_of_the_pipeline_and_one_a_row(rows, model):
    scored = score(rows, model, id="user_id", time=None).toPandas().set_index("user_id")
    direct = model.pipeline.transform(rows).toPandas().set_index("user_id")[PROBABILITY]

    assert len(scored) == 80
    assert scored["probability"].sort_index().to_numpy() == pytest.approx(
        direct.sort_index().to_numpy(), abs=1e-12
    )


def test_a_table_that_does_not_fit_the_model_is_refused_by_column(rows, model):
    wrong = rows.drop("platform").withColumn("is_paid", F.lit("yes"))

    with pytest.raises(TableMismatch) as refused:
        score(wrong, model, id="user_id", time="as_of_date")
    assert "`platform` is missing, expected string" in str(refused.value)
    assert "`is_paid` is string, expected boolean" in str(refused.value)
    assert "`as_of_date` is missing" in str(refused.value)


def test_a_number_of_another_width_is_no_mismatch(rows, model):
    wider = rows.withColumn("thumbs_down_count_7d", F.col("thumbs_down_count_7d").cast("double"))
    scores = [
        score(table.filter("user_id < 3"), model, id="user_id", time=None).collect()
        for table in (rows, wider)
    ]

    assert [[r["user_id"], r["probability"]] for r in sorted(scores[0])] == [
        [r["user_id"], r["probability"]] for r in sorted(scores[1])
    ]


def test_users_that_repeat_or_have_no_id_are_refused(rows, model):
    with pytest.raises(TableMismatch, match="80 rows repeat the `user_id`"):
        score(rows.unionAll(rows), model, id="user_id", time=None)
    nobody = F.expr("if(row_number() over (order by user_id) = 1, null, user_id)")
    with pytest.raises(TableMismatch, match="1 row has no `user_id`, such as the one with"):
        score(rows.withColumn("user_id", nobody), model, id="user_id", time=None)


def test_each_feature_is_in_one_of_at_most_eight_families():
    known = ["thumbs_up_count_7d", "advert_per_hour_28d", "days_since_last_error", "is_paid"]
    unknown = [f"group{i}_{j}" for i in range(20) for j in range(3)]
    for names in (known, unknown, known + unknown):
        found = families(names)
        assert len(found) <= MAX_FAMILIES
        assert sorted(name for members in found.values() for name in members) == sorted(names)
    assert families(known)["likes and dislikes"] == ("thumbs_up_count_7d",)
