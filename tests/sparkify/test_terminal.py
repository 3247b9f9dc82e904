"""What is printed of data is text, whatever it holds."""

import os
import re
import subprocess
import sys
from contextlib import nullcontext

import pandas as pd
import pyarrow as pa
import pytest
from click.testing import CliRunner
from rich.status import Status

from sparkify import summary, terminal
from sparkify.cli import cli
from sparkify.commands import explain, sql
from sparkify.settings import PROJECT

HOSTILE = "[feat. Bruno Mars] [/red] :smile: \\ \x1b[31m\x07\r\n\u202e\u200b\udc80 ü 🎵 [bold]"
SHOWN = (
    r"[feat. Bruno Mars] [/red] :smile: \ "
    r"\x1b[31m\x07\r\n\u202e\u200b\udc80 ü 🎵 [bold]"
)
PROBABILITIES = ("probability", "typical_probability")


@pytest.fixture
def wide(monkeypatch):
    monkeypatch.setattr(terminal.console, "_width", 400)


def test_whatever_is_unseen_is_shown_and_the_rest_stays():
    assert terminal.visible(HOSTILE) == SHOWN
    assert terminal.visible("a\nb\t", keep="\n") == "a\nb\\t"
    for text in ("Beyoncé", "東京\u3000事変", "عمرو دياب", "50\xa0Cent"):
        assert terminal.visible(text) == text


def test_titles_headings_cells_notes_and_stages_print_text(capsys, wide):
    terminal.table(HOSTILE, {HOSTILE: "left"}, [(HOSTILE,), ([HOSTILE, "below"],)], note=HOSTILE)
    terminal.line(HOSTILE, terminal.styled(HOSTILE, "dim"))
    with terminal.stage(HOSTILE) as say:
        say(HOSTILE)
    terminal.warn(HOSTILE.replace("\r\n", ""))
    out, err = capsys.readouterr()
    assert out.count(SHOWN) == 8
    assert err == SHOWN.replace(r"\r\n", "") + "\n"
    assert not set("\x1b\x07\r\u202e") & set(out + err)


def test_what_a_stage_is_at_takes_one_line_of_a_terminal(monkeypatch):
    shown = []
    monkeypatch.setattr(terminal.console, "_width", 40)
    monkeypatch.setattr(Status, "update", lambda _, told: shown.append(told.plain))
    with terminal.stage("Building and testing") as say:
        say("3 of 9, primary_key_of_a_table_that_has_many_columns")
    assert shown == ["Building and testing 3 of 9, primary_…"]


def test_a_style_is_a_style_and_no_text():
    shown = summary.interval(pd.Series({"value": 0.5, "ci_low": 0.4, "ci_high": 0.6}))
    assert shown.plain == "0.500 [0.400, 0.600]"
    assert [span.style for span in shown.spans] == ["dim"]


@pytest.mark.parametrize("width", [terminal.NARROWEST, 80])
def test_no_column_is_lost_where_a_user_has_a_long_name(capsys, monkeypatch, width):
    monkeypatch.setattr(terminal.console, "_width", width)
    user = "5f0c1a52-8a3e-4a7f-9f62-0d8f5f7f1c11-a-b-c"
    columns = {"user": "left", "risk": "right", "USD": "right", "why": "left"}
    terminal.table("Users", columns, [(user, "29.5%", "8.76", ["gave 28 thumbs down lately"])])
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= width
    for words in ("29.5%", "8.76", "USD", "gave", "lately"):
        assert words in shown


def test_a_terminal_without_a_width_still_shows_a_table():
    program = "from sparkify import terminal; terminal.table(None, {'a': 'left'}, [('one',)])"
    done = subprocess.run(
        [sys.executable, "-c", "import sys; sys.stdout.isatty = lambda: True; " + program],
        cwd=PROJECT,
        env=os.environ | {"COLUMNS": "0"},
        capture_output=True,
        text=True,
    )
    assert "one" in done.stdout, done.stderr


def test_results_that_are_higher_than_the_terminal_go_page_by_page(monkeypatch):
    told = []
    monkeypatch.setattr(terminal, "_paged", lambda lines: told.append(lines) or nullcontext())
    columns = [(f"c{number}", "left") for number in range(40)]
    terminal.records(columns[:2], [["a", "b"]] * 5)
    terminal.records(columns, [["value"] * 40] * 5)
    assert told == [5, 5 * 41]


def test_a_frame_prints_nulls_lists_and_columns_of_the_same_name(capsys, wide):
    hostile = HOSTILE.replace("\udc80", "")  # which Spark has not
    cells = [pa.array([cell]) for cell in (hostile, [1, 2], None, 0.25)]
    sql.print_table(pa.Table.from_arrays(cells, names=["a", "a", "[/b]", "d"]))
    shown = capsys.readouterr().out
    assert SHOWN.replace(r"\udc80", "") in shown
    assert "[1, 2]" in shown and "–" in shown and "0.2500" in shown
    assert "a" in shown.splitlines()[0] and "[/b]" in shown.splitlines()[0]


def test_the_reasons_of_a_score_print_text(capsys, wide):
    found = pd.DataFrame(
        [[HOSTILE, 0.5, [HOSTILE, "below"], [HOSTILE], "2018-11-01", 0.1, 0.05]],
        columns=["family", "contribution", "details", "reasons", "as_of_date", *PROBABILITIES],
    )
    model = type("Model", (), {"name": "[/m]", "version": 1, "average_risk": 0.07})
    explain.show_explanation(found, user=HOSTILE, model=model)
    out = capsys.readouterr().out
    assert out.count(SHOWN) == 5 and "([/m] version 1)" in out
    assert "10.0%; the average is 7.0%, a typical user has 5.0%" in out
    assert len(out.strip().splitlines()) == 6


def test_nothing_prints_but_through_the_terminal_module():
    printing = re.compile(
        r"rich\.(console|table)|\bprint\(|console\.|click\.(echo|secho)|stdout\.write"
    )
    by_itself = {
        path.name
        for path in (PROJECT / "sparkify").rglob("*.py")
        if printing.search(path.read_text())
    }
    # Usage is click's, made visible.
    assert by_itself == {"terminal.py", "cli.py"}


def test_a_query_prints_text_and_its_formats_for_programs_stay_raw(spark, wide):
    text = "[/red]\\u001b[31m\\nx"
    sql = f"select '{text}' as `[/b]`"
    shown = {
        style: CliRunner().invoke(cli, ["sql", sql, "--format", style]).output
        for style in ("table", "csv", "json")
    }
    assert r"[/red]\x1b[31m\nx" in shown["table"] and "[/b]" in shown["table"]
    assert shown["csv"] == '[/b]\n"[/red]\x1b[31m\nx"\n'
    assert shown["json"] == '{"[/b]":"[/red]\\u001b[31m\\nx"}\n'


def test_an_error_prints_text():
    program = (
        "import sys; from sparkify import cli, errors; cli.cli.main = lambda **_: 1 / 0; cli.main()"
    )
    program = program.replace(
        "1 / 0", r"(_ for _ in ()).throw(errors.BadInput('no \x1b[31m [/x]'))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=PROJECT, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (3, "error: no \\x1b[31m [/x]\n")
