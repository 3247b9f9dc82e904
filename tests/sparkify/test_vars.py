"""Definitions given with a call: `sparkify --vars`."""

import re
from dataclasses import replace

import pytest
import yaml
from click.testing import CliRunner, Result

from ml.parsing import BLANKS
from sparkify.cli import cli, given_options
from sparkify.errors import BadInput, WrongUse
from sparkify.failures import in_words
from sparkify.settings import PROJECT, Settings, read_vars, written
from sparkify.transform import run_dbt
from sparkify.vars import check_vars

pytestmark = pytest.mark.long

TEXTS = [
    "it's",
    'a "b"',
    "back\\slash",
    "-- no comment",
    "/* nor this */",
    "a: b, {c}",
    "é \x85 😀",
]


def ask(given: str, *arguments: str) -> Result:
    """Run a command that is refused before it needs Spark."""
    return CliRunner().invoke(cli, ["--vars", given, *arguments])


@pytest.mark.parametrize(
    "given",
    ["{a: [}", "[1]", "7", "&a [*a]", "{first_valid_date: 2018-13-01}", "{a: !!python/name:os {}}"],
)
def test_what_are_no_vars_is_refused_in_one_line(given):
    with pytest.raises(WrongUse, match="^--vars .*") as refused:
        read_vars(given)
    assert "\n" not in str(refused.value)
    assert ask(given, "models").exception.exit_code == 2


def test_vars_reach_dbt_as_they_were_given():
    found = read_vars(yaml.safe_dump({"churn_pages": TEXTS, "feature_windows": [3, 9]}))
    assert yaml.safe_load(written(found)) == {"churn_pages": TEXTS, "feature_windows": [3, 9]}
    assert read_vars("{first_valid_date: 2018-10-01}") == {"first_valid_date": "2018-10-01"}
    assert read_vars("") == {} and written({}) == ""


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("{horizon_days: 0}", "horizon_days is 0: it must be a whole number of days"),
        ("{max_nulled_share: 2}", "max_nulled_share is 2"),
        ("{offer_cost: .nan, acceptance: 1}", "offer_cost is .*; acceptance is 1"),
        ("{customer_value: 5}", "customer_value is 5: it must exceed offer_cost, 10"),
        (
            "{customer_value: {paid: 200, free: 5}}",
            "customer_value is .*must exceed offer_cost, 10",
        ),
        (
            "{customer_value: {paid: 200}}",
            "it must be a number, at least 0 and below 1e15, or such as {paid",
        ),
        ("{horizon: 7}", "horizon is no var of this project"),
        *(
            (f'{{churn_pages: ["{page}"]}}', "or with a blank at an end")
            for page in (
                *("Cancel ", "\\ufeffCancel", "\\u00a0Cancel"),
                *(f"Cancel\\u{ord(blank):04x}" for blank in BLANKS),
            )
        ),
        ('{snapshot_weekday: "x\') or true --"}', "snapshot_weekday is"),
        ("{first_valid_date: 2018-02-30 }", "cannot be read"),
        ("{horizon_days: 7, horizon_days: 14}", "horizon_days stands there twice"),
        ("{customer_value: {paid: 9, free: 4, free: 5}}", "free stands there twice"),
        ("{horizon_days: 010}", "010 is no decimal number"),
        ("{active_days: 1:30}", "1:30 is no decimal number"),
        ("{offer_cost: 1:30.5}", "1:30.5 is no decimal number"),
        ('{last_valid_date: "2018-10-01\') or (1=1"}', "last_valid_date is"),
    ],
)
def test_a_var_that_cannot_be_stops_a_command_that_runs_no_dbt(settings, given, words):
    for command in (["train"], ["score"]):
        refused = ask(given, *command).exception
        assert isinstance(refused, BadInput | WrongUse)
        assert re.search(words, str(refused))


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("  horizon_days: 14\n", "  horizon_days: 14\n  horizon_day: 7\n", "horizon_day is no var"),
        ("  horizon_days: 14\n", "  horizon_days: 14\n  horizon_days: 7\n", "stands there twice"),
        ("  horizon_days: 14\n", "  horizon_days: 014\n", "014 is no decimal number"),
        ("  horizon_days: 14\n", "", "dbt_project.yml has no horizon_days"),
        ("  horizon_days: 14\n", "  horizon_days: 2018-13-01\n", "cannot be read: month must"),
        ("vars:\n", "vars:\n  sparkify:\n", "dbt_project.yml, or vars in it, cannot be read"),
        ("vars:\n", "vars:\n  sparkify: 7\n", "dbt_project.yml, or vars in it, cannot be read"),
        ("vars:\n", "others:\n", "dbt_project.yml, or vars in it, cannot be read"),
        ("vars:\n", "vars:\n  sparkify:\n    horizon_days: seven\n", "horizon_days is .seven"),
    ],
)
def test_vars_of_the_project_are_looked_at_as_those_of_a_call(
    tmp_path, monkeypatch, before, after, words
):
    project = (PROJECT / "dbt_project.yml").read_text()
    assert project.count(before) == 1
    (tmp_path / "dbt_project.yml").write_text(project.replace(before, after))
    (tmp_path / "macros").symlink_to(PROJECT / "macros")
    monkeypatch.setattr("sparkify.settings.PROJECT", tmp_path)
    with pytest.raises(BadInput, match=words):
        check_vars(Settings.from_environment())


def test_vars_under_the_name_of_the_project_count_as_for_dbt(tmp_path, monkeypatch):
    own = "vars:\n  sparkify: {horizon_days: 7, customer_value: 1000}\n"
    project = (PROJECT / "dbt_project.yml").read_text().replace("vars:\n", own)
    (tmp_path / "dbt_project.yml").write_text(project)
    monkeypatch.setattr("sparkify.settings.PROJECT", tmp_path)
    found = Settings.from_environment(overrides={"offer_cost": 20})
    check_vars(found)
    assert found.variables["horizon_days"] == 7 and "sparkify" not in found.variables
    assert (found.offer.customer_value, found.offer.offer_cost) == (1000, 20)


def test_a_command_in_a_message_has_the_same_vars(settings):
    given = "{churn_pages: ['a\\d']}"
    shown = in_words(BadInput("run `sparkify train`"), **given_options(["--vars", given, "score"]))
    assert shown.startswith("run `sparkify --vars '{churn_pages: [")
    assert "\\d" in shown and shown.endswith("train`")
    command = Settings.from_environment(overrides={"horizon_days": 7}).command
    assert command == "sparkify --vars '{horizon_days: 7}'"


@pytest.mark.parametrize(
    "given",
    [
        {
            "events_format": "csv",
            "user_share": 0,
            "churn_pages": [" "],
            "horizon_days": "14",
            "feature_windows": [7, 1.5],
            "customer_value": {"paid": 200},
            "acceptance": float("nan"),
            "currency": "usd",
            "first_valid_date": "2018-02-30",
            "horizon": 7,
        },
        {
            "churn_definition": "inactive",
            "inactive_days": 3000,
            "feature_windows": [28, 7],
            "customer_value": 5,
            "first_valid_date": "2020-01-01",
            "last_valid_date": "2019-01-01",
        },
    ],
)
def test_a_command_and_dbt_refuse_vars_in_the_same_words(settings, given):
    """Though the command asks the macro by Jinja alone."""
    with pytest.raises(BadInput) as told:
        check_vars(replace(settings, overrides=given))
    with pytest.raises(BadInput) as told_by_dbt:
        run_dbt(replace(settings, overrides=given), "run-operation", "check_vars")
    assert str(told.value) == str(told_by_dbt.value)
