"""The README and its like keep their word; what they show is run by test_run.py."""

import re
import shlex

import pytest
import yaml

from sparkify import catalog
from sparkify.events import FIELDS
from sparkify.settings import PROJECT
from tests.sparkify.pages import (
    CONTRIBUTING,
    PAGES,
    README,
    blocks,
    names,
    parse,
    rows_of,
    sparkify_commands,
)

READ = re.compile(
    r"env_var\('(\w+)'"
    r"|environ(?:\.get\(|\.setdefault\(|\[)\s*\"(\w+)\""
    r"|\"(\w+)\" (?:not )?in os\.environ"
)


def slug(heading: str) -> str:
    """The anchor of a heading, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_link_leads_somewhere(page):
    for path, anchor in re.findall(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)", page.read_text()):
        target = page.parent / path if path else page
        assert target.exists(), path
        if anchor:
            headings = re.findall(r"^#+ (.+)$", target.read_text(), re.M)
            assert anchor in map(slug, headings), anchor


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_file_that_is_named_exists(page):
    for path in re.findall(r"`((?:\w+/)+[\w.]+\.(?:py|sql|yml|j2))`", page.read_text()):
        assert (PROJECT / path).exists(), path


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_command_that_is_shown_is_one(page):
    for words in sparkify_commands(page):
        parse(words)


def test_commands_are_found_in_shells_and_crontabs():
    shown = [shlex.join(words) for page in PAGES for words in sparkify_commands(page)]
    assert len(shown) >= 20
    assert "targets --top 20 --csv contact.csv" in shown
    assert "run --quiet --events /data/events" in shown


def test_every_make_target_that_is_named_exists_and_help_lists_all_of_them():
    makefile = (PROJECT / "Makefile").read_text()
    listed = set(re.findall(r"^([a-z-]+):.*## ", makefile, re.M))
    declared = set(re.search(r"^\.PHONY: (.+)$", makefile, re.M).group(1).split())
    assert declared == listed
    for page in PAGES:
        assert set(re.findall(r"(?:`|^)make ([a-z-]+)", page.read_text(), re.M)) <= listed


def test_the_fields_of_the_input_are_those_that_are_read():
    macro = (PROJECT / "macros" / "event_fields.sql").read_text().split("do return(")[1]
    fields = set(re.findall(r"'(\w+)'", macro))
    assert names(rows_of(README, "field")) == fields
    assert {field.lower() for field in fields} == FIELDS


def test_the_tables_that_are_listed_are_the_marts():
    listed, described = names(rows_of(README, "table")), set(catalog.described())
    assert listed <= described
    # These say how the others were made.
    told = {"dim_definitions", "dim_snapshot_dates"}
    assert {name for name in described if name.startswith(catalog.MARTS)} == told | {
        name for name in listed if name.startswith(catalog.MARTS)
    }


def test_the_settings_that_are_listed_are_those_that_are_read():
    packages = ("sparkify", "ml", "expectations", "charts")
    files = [file for name in packages for file in (PROJECT / name).rglob("*.py")]
    read = {
        name
        for file in [PROJECT / "profiles" / "profiles.yml", *files]
        for found in READ.findall(file.read_text())
        for name in found
        if name
    }
    assert names(rows_of(README, "setting")) == read


def test_the_worked_example_of_a_feature_is_as_the_others_are():
    (shown,) = blocks(CONTRIBUTING, "yaml")
    column = yaml.safe_load(shown.text)[0]
    others = catalog.described()["fct_user_snapshots"]["columns"]
    like = next(other for other in others if other["name"] == "help_count_28d")
    assert column.keys() == like.keys()
    assert column["config"]["meta"].keys() == like["config"]["meta"].keys()
    counted = (PROJECT / "macros" / "page_counts.sql").read_text()
    assert f"'{column['name'].removesuffix('_28d')}'" in counted


def test_python_that_is_not_run_is_python():
    shown = [block for page in PAGES for block in blocks(page, "python")]
    assert [block.is_run for block in shown].count(False) == 1
    for block in shown:
        compile(block.text, "page", "exec")
