import math
from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
from pyspark.ml import PipelineModel
from pyspark.ml.feature import SQLTransformer
from pyspark.sql import functions as F

from ml.errors import TableMismatch
from ml.explaining import (
    BACKGROUND,
    MAX_FAMILIES,
    NO_MORE,
    NO_SINGLE,
    contributions,
    explain,
    families,
)
from ml.preprocessing import find_columns, typical_row
from ml.protocol import LABEL
from ml.scoring import DeployedModel, score
from ml.stacking import LOG_ODDS, PROBABILITY, STACK, deployed, fit
from ml.tuning import LEARNERS
from ml.wording import Wording
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
    assert list(details["likes and dislikes"]) == [
        f"thumbs down count 7d is {row['thumbs_down_count_7d']}; typically 3"
    ]
    assert sum(map(len, details)) == len(model.features)


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
        assert not any("platform" in str(reason) for reason in reasons)
        assert any("song count" in str(reason) for reason in reasons)
    assert raised > 0


def test_what_a_user_is_belongs_to_the_background_in_every_table():
    names = ["gender", "platform", "state", "is_left_truncated", "observed_day_count_28d"]
    others = ["page_count", "usage", "statement_count", "message_count"]
    found = families([*names, *others])

    assert found[BACKGROUND] == tuple(names)
    assert BACKGROUND not in families(["background_color", "shape", "weight"])
    many = families([*names, *(f"group{i}_{j}" for i in range(20) for j in range(3))])
    assert many[BACKGROUND] == tuple(names)
    assert len(many) == MAX_FAMILIES


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


def test_users_that_repeat_are_refused(rows, model):
    with pytest.raises(TableMismatch, match="80 rows repeat the `user_id`"):
        score(rows.unionAll(rows), model, id="user_id", time=None)


def test_each_feature_is_in_one_of_at_most_eight_families():
    known = ["thumbs_up_count_7d", "advert_per_hour_28d", "days_since_last_error", "is_paid"]
    unknown = [f"group{i}_{j}" for i in range(20) for j in range(3)]
    for names in (known, unknown, known + unknown):
        found = families(names)
        assert len(found) <= MAX_FAMILIES
        assert sorted(name for members in found.values() for name in members) == sorted(names)
    assert families(known)["likes and dislikes"] == ("thumbs_up_count_7d",)


# Each feature: its type, the typical value, what it adds to the log-odds, and how it is told.
ADVERSARIAL = {
    "down": (
        *("bigint", 0, "0.2 * down"),
        Wording(
            family="likes",
            reason_when="more",
            reason="gave {value} thumbs down in 7 days; a typical user gives {typical}",
        ),
    ),
    # Learned the wrong way round, as more of all goes with more thumbs up.
    "up": (
        *("bigint", 5, "0.1 * up"),
        Wording(
            family="likes",
            reason_when="less",
            reason="gave {value} thumbs up in 7 days; a typical user gives {typical}",
        ),
    ),
    "errors": (
        *("bigint", 2, "-0.3 * errors"),
        Wording(
            family="trouble",
            reason_when="more",
            reason="saw {value} error page(s) in 7 days; a typical user sees {typical}",
        ),
    ),
    "adverts": (
        *("double", 0.5, "0.4 * adverts"),
        Wording(
            family="trouble",
            reason_when="more",
            reason="heard {value} advert(s) per hour; a typical user hears {typical}",
        ),
    ),
    # So steep that what prints alike moves the score.
    "songs": (
        *("double", 14.6, "5 * songs"),
        Wording(
            family="listening",
            reason="played {value} song(s) a day; a typical user plays {typical} song(s)",
        ),
    ),
    "seconds": (
        *("double", 3600.0, "-0.001 * seconds"),
        Wording(
            family="hours",
            shown_as="hours",
            reason="listened for {value} hour(s); a typical user for {typical} hour(s)",
        ),
    ),
    "share": (
        *("double", 0.5, "-4 * share"),
        Wording(
            family="hours",
            shown_as="percent",
            reason="listened on {value} % of days; a typical user on {typical} %",
        ),
    ),
    "sessions": (
        *("bigint", 20, "-0.1 * sessions"),
        Wording(family="hours", reason="came {value} time(s); a typical user {typical}"),
    ),
    "changed": (
        *("int", 15, "if(changed is null, 2, -0.1 * changed)"),
        Wording(
            family="plan",
            reason="changed the level {value} day(s) ago; a typical user {typical} day(s) ago",
            reason_if_null="never changed the level; a typical user did {typical} day(s) ago",
        ),
    ),
    "is_paid": (
        *("boolean", True, "if(is_paid, 0, 1)"),
        Wording(
            family="plan",
            words={"true": "paid", "false": "free"},
            reason="is on the {value} level; a typical user is on the {typical} one",
        ),
    ),
    "tenure": (
        *("int", 40, "if(tenure is null, 1, 0)"),
        Wording(
            family="age", reason="registered {value} day(s) ago; a typical user {typical} day(s)"
        ),
    ),
    "days_log": (
        *("double", math.log(41), "-0.5 * days_log"),
        Wording(
            family="age",
            shown_as="log",
            reason="came {value} day(s) ago; a typical user {typical} day(s) ago",
        ),
    ),
    "log_odds": (
        *("double", 0.0, "-log_odds"),
        Wording(
            family="listening",
            shown_as="percent of log-odds",
            reason="comes on {value} % of days; a typical user on {typical} %",
        ),
    ),
    "platform": (
        *("string", "mac", "if(platform = 'mac', 0, 3)"),
        Wording(family=BACKGROUND, reason="uses {value}; a typical user uses {typical}"),
    ),
    # Nothing is known of it but its name.
    "odd_{value}_(s)": (*("double", 1.0, "0.5 * coalesce(nullif(x, 'NaN'), 3)"), None),
}
# Each user: what is not typical, and the reasons.
USERS = {
    "typical": ({}, [NO_MORE]),
    "dislikes": ({"down": 16}, ["gave 16 thumbs down in 7 days; a typical user gives 0"]),
    "likes": ({"up": 61}, [NO_SINGLE]),
    "likes and dislikes": ({"up": 20, "down": 3}, [NO_SINGLE]),
    "dislikes and likes": (
        {"up": 8, "down": 12_345},
        ["gave 12,345 thumbs down in 7 days; a typical user gives 0"],
    ),
    "dislikes little": ({"down": 1, "up": 0}, [NO_MORE]),
    "few errors": ({"errors": 0}, [NO_SINGLE]),
    "few errors, one advert": (
        {"errors": 2, "adverts": 1.0},
        ["heard 1 advert per hour; a typical user hears 0.5"],
    ),
    "adverts": ({"adverts": 1.26}, ["heard 1.3 adverts per hour; a typical user hears 0.5"]),
    "printed alike": ({"songs": 14.74}, [NO_SINGLE]),
    "printed apart": ({"songs": 15.5}, ["played 16 songs a day; a typical user plays 15 songs"]),
    "lowered by what moves most": (
        {"seconds": 4800.0, "share": 0.3, "sessions": 13},
        [NO_SINGLE],
    ),
    "fewer hours": ({"seconds": 9.0}, ["listened for 0.0025 hours; a typical user for 1 hour"]),
    "smaller share": ({"share": 0.125}, ["listened on 13 % of days; a typical user on 50 %"]),
    "once": ({"sessions": 1}, ["came 1 time; a typical user 20"]),
    "changed": ({"changed": 1}, ["changed the level 1 day ago; a typical user 15 days ago"]),
    "never": ({"changed": None}, ["never changed the level; a typical user did 15 days ago"]),
    "free": ({"is_paid": False}, ["is on the free level; a typical user is on the paid one"]),
    "of unknown tenure": ({"tenure": None}, [NO_SINGLE]),
    "new": ({"days_log": math.log(4)}, ["came 3 days ago; a typical user 40 days ago"]),
    "newer": ({"days_log": math.log(2)}, ["came 1 day ago; a typical user 40 days ago"]),
    "comes less": (
        {"log_odds": math.log(0.25 / 0.75)},
        ["comes on 25 % of days; a typical user on 50 %"],
    ),
    "on another platform": ({"platform": "ios"}, [NO_SINGLE]),
    "odd": ({"odd_{value}_(s)": 4.0}, ["odd (value) (s) is 4; typically 1"]),
    "not a number": (
        {"odd_{value}_(s)": float("nan")},
        ["odd (value) (s) is unknown; typically 1"],
    ),
    "in every way": (
        {"down": 10, "adverts": 9.0, "songs": 15.6, "changed": None, "share": 0.25},
        [
            "played 16 songs a day; a typical user plays 15 songs",
            "never changed the level; a typical user did 15 days ago",
            "heard 9 adverts per hour; a typical user hears 0.5",
        ],
    ),
    "in one way, and less in another": ({"down": 16, "sessions": 70}, [NO_MORE]),
}


@pytest.fixture(scope="module")
def adversarial(spark):
    """The users above, random ones, and a model of the sum of what the features add."""
    typical = {name: value for name, (_, value, _, _) in ADVERSARIAL.items()}
    generator = np.random.default_rng(5)
    values = {user: typical | other for user, (other, _) in USERS.items()}
    options = {name: list({each[name]: 0 for each in values.values()}) for name in typical}
    for i in range(100):
        values[f"random {i}"] = {
            name: others[generator.integers(len(others))] for name, others in options.items()
        }
    schema = ", ".join(f"`{name}` {kind}" for name, (kind, *_) in ADVERSARIAL.items())
    table = [(user, *each.values()) for user, each in values.items()]
    rows = spark.createDataFrame(table, f"user string, {schema}").coalesce(1).cache()
    odds = " + ".join(formula for *_, formula, _ in ADVERSARIAL.values())
    odds = odds.replace("nullif(x, 'NaN')", "nullif(`odd_{value}_(s)`, double('NaN'))")
    base = 5 * 14.6 - 0.001 * 3600 - 4 * 0.5 - 0.1 * 20 - 0.1 * 15 + 0.5 - 0.6 + 0.5 + 0.2
    base -= 0.5 * math.log(41)
    statement = f"select *, {odds} - {base} - 3 as {LOG_ODDS} from __THIS__"
    columns = find_columns(rows, ignore=["user"])
    wording = {name: each for name, (*_, each) in ADVERSARIAL.items() if each}
    model = DeployedModel(
        pipeline=PipelineModel([SQLTransformer(statement=statement)]),
        features=columns.features,
        typical=typical,
        families=families(columns.names, wording),
        wording=wording,
        average_risk=0.048,
        name="sum",
        version=1,
    )
    scored = score(rows, model, id="user", time=None).toPandas()
    return rows, model, reasons_by_user(scored, user="user")


def test_a_reason_raises_the_risk_differs_as_printed_and_is_a_sentence(adversarial):
    *_, found = adversarial
    expected = {user: reasons for user, (_, reasons) in USERS.items()}
    assert {user: found[user] for user in USERS} == expected


def test_every_reason_of_every_user_is_the_one_computed_apart(adversarial):
    rows, model, found = adversarial
    told = {row["user"]: row for row in contributions(rows, model, keys=["user"]).collect()}
    expected = {
        row["user"]: expected_reasons(row.asDict(), told[row["user"]].asDict(), model)
        for row in rows.collect()
    }

    assert found == expected
    assert sum(len(each) == 3 for each in found.values()) > 10
    assert [NO_MORE] in found.values() and [NO_SINGLE] in found.values()


def test_an_explanation_gives_the_reasons_of_the_score(adversarial):
    rows, model, scored = adversarial
    found = explain(rows, model, id="user", time=None).toPandas()

    assert {row.user: list(row.reasons) for row in found.itertuples()} == scored
    for row in found.itertuples():
        said = [text for text in row.reasons if text in row.details]
        assert said in ([], [row.details[0]])
        assert row.is_actionable == (row.family != BACKGROUND)


def test_a_model_that_knows_no_average_compares_with_the_typical_user(adversarial):
    rows, model, _ = adversarial
    old = replace(model, average_risk=None)
    few = rows.filter("user in ('typical', 'likes', 'in one way, and less in another')")
    found = reasons_by_user(score(few, old, id="user", time=None).toPandas(), user="user")

    assert found == {
        "typical": [NO_MORE],
        "likes": [NO_SINGLE],
        "in one way, and less in another": [NO_MORE],
    }


@pytest.mark.parametrize(
    "wrong",
    [
        {"reason": "gave {typical}, and not {value}"},
        {"reason": "gave {value}"},
        {"reason": "gave {value} in {days}; a typical user {typical}"},
        {"reason_if_null": "gave {value}"},
        {"shown_as": "per cent"},
        {"reason_when": "many"},
    ],
)
def test_a_wording_that_cannot_be_printed_is_refused(wrong):
    with pytest.raises(ValueError, match="`"):
        Wording(**{"family": "likes", "reason": "gave {value}; a typical user {typical}"} | wrong)
