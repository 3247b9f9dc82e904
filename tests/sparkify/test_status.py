"""Whether to train again, and why, in a sentence."""

import datetime as dt
from types import SimpleNamespace

import pandas as pd
import pytest

from ml.versions import ModelVersion
from sparkify.commands.status import advice, changed_since, in_use
from sparkify.scores import came_true

MONDAYS = [dt.date(2018, 11, 5) + dt.timedelta(weeks=week) for week in range(3)]
OUTCOMES = dict.fromkeys(MONDAYS, (50, 4))
KNOWS = "no. The last training knew every outcome that is known."


def judged(*losses: float) -> pd.DataFrame:
    """Dates on which giving everybody the share who left had a log loss of .25."""
    return pd.DataFrame(
        {
            "as_of_date": MONDAYS[: len(losses)],
            "expected_churner_count": 10.4,
            "churner_count": 12,
            "log_loss": losses,
            "no_skill": 0.25,
        }
    )


def version(**known) -> SimpleNamespace:
    """The newest version, as far as advice looks at it."""
    usual = {"learned": None, "made_by": "code"}
    return SimpleNamespace(version=2, skill=SimpleNamespace(value=0.1), **usual | known)


@pytest.mark.parametrize(
    ("learned_until", "misfit", "losses", "said"),
    [
        (MONDAYS[2], "", [], KNOWS),
        (MONDAYS[2], "", [0.26, 0.24], KNOWS),
        (MONDAYS[2], "", [0.26, 0.27], "no, though the last scores came true no better than"),
        (MONDAYS[2], "It is not used.", [], "yes. It is not used."),
        (MONDAYS[1], "", [], "yes. The outcome of 1 date is known since the last training"),
        (MONDAYS[0], "", [], "yes. The outcome of 2 dates is known since the last training, to"),
    ],
)
def test_the_advice_says_yes_or_no_and_why(learned_until, misfit, losses, said):
    versions = [SimpleNamespace(learned_until=learned_until, learned=None), None]
    assert advice(versions, misfit, outcomes=OUTCOMES, judged=judged(*losses)).startswith(said)


@pytest.mark.parametrize(
    ("tried", "skill", "learned_until", "said"),
    [
        (2, -0.01, MONDAYS[2], "no. The last training knew every outcome that is known, and more"),
        (2, -0.01, MONDAYS[1], "yes. The outcome of 1 date is known since the last training"),
        (2, 0.01, MONDAYS[2], "yes. It is not used."),
        (1, -0.01, MONDAYS[2], "yes. It is not used."),
        (None, -0.01, MONDAYS[2], "yes. It is not used."),
    ],
)
def test_what_was_tried_in_vain_is_not_advised_again(tried, skill, learned_until, said):
    skills = SimpleNamespace(value=skill)
    last = SimpleNamespace(version=2, learned_until=learned_until, learned=None, skill=skills)
    found = advice([last], "It is not used.", outcomes=OUTCOMES, judged=judged(), tried=tried)
    assert found.startswith(said)


def test_a_training_that_was_refused_is_not_advised_again():
    last = version(learned_until=MONDAYS[0])
    refused = {"outcomes": OUTCOMES, "judged": judged(), "refused": "Refused: few."}
    assert advice([last], "No. Refused: few.", **refused) == "no. No. Refused: few."
    assert advice([], "None yet. Refused: few.", **refused).startswith("no. None")
    # There is more to learn from, and it was refused with all of it.
    assert advice([last], "", **refused) == "no. Refused: few."


def test_without_any_outcome_there_is_nothing_to_learn():
    found = advice([], "No model yet.", outcomes={}, judged=judged())
    assert found.startswith("no. The outcome of no date is known yet")


def test_a_history_that_late_events_changed_is_learned_from_again():
    options = {"outcomes": OUTCOMES, "judged": judged()}
    same = version(learned_until=MONDAYS[1], learned=(100, 8))
    assert changed_since(same, OUTCOMES) == ""
    late = version(learned_until=MONDAYS[1], learned=(100, 7))
    assert advice([late], "", **options) == (
        "yes. The history that the last training learned from has changed: 100 rows with 8 "
        "churners, and 100 with 7 then."
    )
    # An older card does not tell.
    assert advice([version(learned_until=MONDAYS[2])], "", **options) == KNOWS


def test_a_version_means_what_a_table_does_as_far_as_both_are_known():
    known = {"horizon_days": "14", "churn": "cancelled"}
    tried = SimpleNamespace(definitions=known)
    assert ModelVersion.means(tried, known)
    assert ModelVersion.means(tried, {"churn": "cancelled", "level": "paid"})
    assert not ModelVersion.means(tried, known | {"horizon_days": "7"})


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ("trained", "It is better than version 1."),
        ("promoted", "promoted by hand"),
        ("rolled back", "rolled back by hand"),
    ],
)
def test_a_version_chosen_by_hand_is_not_said_to_be_in_use_for_what_its_training_decided(how, why):
    told = {"version": 2, "decision": "It is better than version 1."}
    champion = SimpleNamespace(**told, is_proven=True)
    reign = [SimpleNamespace(version=2, how=how, at="2018-11-19T06:00:00+00:00")]
    assert in_use(champion, reign) == f"version 2 since 2018-11-19: {why}"
    unproven = in_use(SimpleNamespace(**told, is_proven=False), reign)
    assert unproven.endswith("by hand; it is unproven") == (how != "trained")
    assert in_use(champion, reign, fits=False).startswith("no model; version 2, the champion, does")
    again = [SimpleNamespace(version=2, how="fits again", at="2018-11-20T06:00:00+00:00")]
    assert in_use(champion, again) == "version 2 since 2018-11-20: it fits the tables again"
    elsewhere = [SimpleNamespace(version=1, how="trained", at="2018-11-19T06:00:00+00:00")]
    assert in_use(champion, elsewhere).endswith("told elsewhere, not by `sparkify`")


def test_a_version_in_use_that_is_left_behind_is_named():
    newest, old = version(learned_until=MONDAYS[2]), version(learned_until=MONDAYS[0])
    found = advice([newest], "", outcomes=OUTCOMES, judged=judged(), champion=old)
    assert found == (
        f"{KNOWS} Version 2, in use, knows nothing of 2 dates of these, and what was trained since "
        "is not clearly better."
    )
    assert advice([newest], "", outcomes=OUTCOMES, judged=judged(), champion=newest) == KNOWS
    by_hand = [SimpleNamespace(version=2, how="rolled back", at="")]
    found = advice([newest], "", outcomes=OUTCOMES, judged=judged(), champion=old, reigns=by_hand)
    assert found.endswith("2 dates of these, and was chosen by hand.")


def test_tables_that_other_code_makes_are_a_reason_to_train():
    newest = version(learned_until=MONDAYS[2])
    of_now = {"outcomes": OUTCOMES, "judged": judged()}
    assert advice([newest], "", made_by="other", **of_now).startswith("yes. Other code, or of")
    assert advice([newest], "", made_by="code", **of_now) == KNOWS
    # An older version does not tell.
    assert (
        advice([version(learned_until=MONDAYS[2], made_by="")], "", made_by="x", **of_now) == KNOWS
    )


def test_without_outcomes_of_scores_there_is_advice_too():
    none = pd.DataFrame(columns=["model_version", "as_of_date", "log_loss", "no_skill"])
    found = advice([version(learned_until=MONDAYS[2])], "", outcomes=OUTCOMES, judged=none)
    assert found == KNOWS


def test_dates_on_which_nobody_left_are_no_reproach():
    nobody = judged(0.001).assign(no_skill=1e-8)
    found = advice([version(learned_until=MONDAYS[2])], "", outcomes=OUTCOMES, judged=nobody)
    assert found == KNOWS


def test_what_came_true_is_told_in_the_unit_of_the_dates():
    assert came_true(judged()) == "not known yet"
    assert came_true(judged(0.26, 0.24)) == (
        "on 2 dates, churner-weeks: expected 21, counted 24; log loss 0.240 on 2018-11-12, "
        "0.250 without skill"
    )
    assert came_true(judged(0.26)).startswith("on 1 date, churners: expected 10, counted 12;")
    nightly = judged(0.26, 0.24).assign(as_of_date=["2018-11-05", "2018-11-06"])
    assert came_true(nightly).startswith("on 2 dates, churners, counted anew on each date: exp")
