"""A share of the users: whose rows are kept, and what is said and counted of the others."""

import json
from collections import Counter
from dataclasses import replace

import pytest
from click.testing import CliRunner

from sparkify import summary, transform
from sparkify.cli import cli, with_share
from sparkify.report.page import render
from tests.sparkify.report_data import report_data
from tests.sparkify.tables import last_write
from tests.sparkify.test_staging import line
from tests.sparkify.test_unchanged import DATA

pytestmark = pytest.mark.long

ROWS = "sparkify.base_sparkify__rows"
USERS = [str(number) for number in range(1, 61)]
EVENTS = [line(userId=user, itemInSession=item) for user in USERS for item in range(3)]
# Two users have the same session, one event is there twice, and ids are written in several ways.
EVENTS += [line(userId="1"), line(userId="2"), line(userId="1"), line(userId=7.0)]
REJECTED = [
    *(line(userId=user, ts="soon") for user in USERS),
    *[line(auth="Logged Out", userId="")] * 5,
    *("{bad", line(userId="")),
]


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    folder = tmp_path_factory.mktemp("log")
    (folder / "a.json").write_text("\n".join(EVENTS + REJECTED[:30]))
    (folder / "b.json").write_text("\n".join(REJECTED[30:]))
    return folder


@pytest.fixture(scope="module")
def shares(spark, settings, log) -> dict[object, dict[str, Counter]]:
    """The events of each user by share, None being no word of it; the smallest one stays."""
    found, versions = {}, {}
    for share in (None, 1.0, 0.5, 0.2):
        given = {} if share is None else {"user_share": share}
        generous = replace(settings, overrides={"max_rejected_share": 1} | given)
        # With its tests, one of which is that no row vanishes.
        untested = ("--exclude-resource-type", "test") if share == 1 else ()
        selected = ("--select", "path:models/staging", *untested)
        transform.build(generous, *selected, events=str(log))
        found[share], versions[share] = {}, last_write(spark, "base_sparkify__rows").version
        for row in spark.table("sparkify.stg_sparkify__events").collect():
            found[share].setdefault(row.user_id, Counter())[row] += 1
        rows = spark.table(ROWS).groupBy("rejection_reason").count().collect()
        reasons = Counter({row["rejection_reason"]: row["count"] for row in rows})
        assert sum(reasons.values()) == len(EVENTS) + len(REJECTED)
        # Who is kept is decided of rows that are in order: all others are on record.
        assert reasons["invalid_ts"] == len(USERS) and reasons["anonymous"] == 5
        assert spark.table("sparkify.stg_sparkify__rejected_events").count() == len(REJECTED)
        copies = sum(row.copy_count for rows in found[share].values() for row in rows)
        assert reasons["other_user"] == len(EVENTS) - copies
    # A share of 1 is what no word of it is; another one is another definition.
    assert versions[None] == versions[1.0] < versions[0.5] < versions[0.2]
    return found


def test_a_share_has_whole_users_and_a_larger_one_has_them_too(shares):
    assert set(shares[None]) == set(USERS) and shares[None] == shares[1.0]
    assert shares[1.0].items() > shares[0.5].items() > shares[0.2].items()
    assert 20 <= len(shares[0.5]) <= 40 and 4 <= len(shares[0.2]) <= 20


def test_of_the_rows_of_others_nothing_is_written_but_that_they_were_there(spark, shares):
    rows = spark.table(ROWS).where("rejection_reason = 'other_user'")
    known = {"source_file", "input_version", "is_line_start", "rejection_reason", "event_id"}
    others = [name for name in rows.columns if name not in known]
    assert rows.where(" or ".join(f"{name} is not null" for name in others)).isEmpty()
    assert rows.select("event_id").distinct().count() == 1 < rows.count()


@pytest.mark.parametrize("share", [0, -0.1, 1.5, True, "all"])
def test_a_share_that_cannot_be_is_refused(settings, share):
    refused = CliRunner().invoke(cli, ["--vars", json.dumps({"user_share": share}), "models"])
    assert "it must be a number above 0, at most 1" in str(refused.exception)


@pytest.mark.parametrize("share", ["0", "1.01"])
def test_an_option_that_cannot_be_is_refused(share):
    refused = CliRunner().invoke(cli, ["build", "--events", "log", "--user-share", share])
    assert refused.exit_code == 2 and "--user-share" in refused.output


def test_the_option_is_the_var(settings):
    assert with_share(settings, None) is settings
    assert with_share(settings, 0.1).variables["user_share"] == 0.1


def test_a_share_is_said_beside_the_counts(settings, capsys):
    data = DATA | {"user_share": 0.1, "rows_of_other_users": 12_345}
    summary.show_data(settings, data)
    said = " ".join(capsys.readouterr().out.split())
    assert "left out 12,345 of other users" in said
    assert "churned; 10 % of the users of the log" in said
    summary.show_data(settings, DATA)
    assert "of other users" not in capsys.readouterr().out
    page = report_data()
    assert "% of the users of the log" not in render(page)
    sample = render(replace(page, about=replace(page.about, user_share=0.025)))
    assert sample.count("2.5 % of the users of the log") == 2
