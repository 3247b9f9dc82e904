import math
from dataclasses import replace

import numpy as np
import pytest
from pyspark.ml import PipelineModel
from pyspark.ml.feature import SQLTransformer

from ml.explaining import (
    BACKGROUND,
    NO_ACTION,
    NO_MORE,
    NO_SINGLE,
    contributions,
    explain,
    families,
)
from ml.preprocessing import find_columns
from ml.scoring import DeployedModel, score
from ml.stacking import LOG_ODDS
from ml.wording import Wording
from tests.reasons import expected_reasons, reasons_by_user

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
    "device_platform": (
        *("string", "mac", "if(device_platform = 'mac', 0, 3)"),
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
    "on another platform": ({"device_platform": "ios"}, [f"{NO_ACTION} (device platform)"]),
    "on another platform, of less": (
        {"device_platform": "ios", "sessions": 70},
        [NO_MORE],
    ),
    "on another platform, and dislikes": (
        {"device_platform": "ios", "down": 16},
        ["gave 16 thumbs down in 7 days; a typical user gives 0"],
    ),
    "odd": ({"odd_{value}_(s)": 4.0}, ["odd (value) (s) is 4; typically 1"]),
    "not a number": (
        {"odd_{value}_(s)": float("nan")},
        ["odd (value) (s) is unknown; where it is known, typically 1"],
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
    nothing = ([NO_MORE], [NO_SINGLE], [f"{NO_ACTION} (device platform)"])
    assert all(each in found.values() for each in nothing)


def test_an_explanation_gives_the_reasons_of_the_score(adversarial):
    rows, model, scored = adversarial
    found = explain(rows, model, id="user", time=None).toPandas()

    assert {row.user: list(row.reasons) for row in found.itertuples()} == scored
    for row in found.itertuples():
        said = [text for text in row.reasons if text in row.details]
        assert said in ([], list(row.details[:1]))
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
