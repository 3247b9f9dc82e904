"""The report: from any folder, and never in the way of what a run has to tell; its notebook."""

import ast
import os
import re

import nbformat.v4
import pandas as pd
import pytest

from sparkify.commands import build, run
from sparkify.errors import SparkifyError
from sparkify.report import cells, exploring, figures
from sparkify.report import notebook as report
from tests.sparkify.report_data import report_data

# A code span, the level of every interval, and the number of an item are no findings.
NO_FINDING = re.compile(r"`[^`]*`|\b95 %|^\d+\. ", re.M)


def made_of(*cells: str) -> nbformat.NotebookNode:
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])


def test_a_notebook_is_executed_from_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    executed, told = made_of("6 * 7", "1"), []
    executed.cells.append(nbformat.v4.new_markdown_cell("the end"))
    report.execute(executed, dict(os.environ), told.append)
    assert told == ["cell 1 of 2", "cell 2 of 2"]
    assert executed.cells[0].outputs[0].data["text/plain"] == "42"
    assert list(tmp_path.iterdir()) == []


def test_a_kernel_that_dies_is_an_error_of_one_line(tmp_path, monkeypatch, spark, settings):
    path = tmp_path / "dies.ipynb"
    nbformat.write(made_of("import os; os._exit(1)"), path)
    monkeypatch.setattr(report, "NOTEBOOK", path)
    with pytest.raises(SparkifyError, match="^the notebook failed: Kernel died$"):
        report.write_notebook(spark, settings)


def test_what_came_out_is_told_before_the_report_which_may_fail(monkeypatch, settings):
    told = []
    stages = ("open_stage", "build_all", "train_snapshots", "score_stage", "retention_stage")
    tells = ("told_of_data", "show_data", "show_backtest", "told_of", "show_most_at_risk")
    tells += ("show_targets", "show_next")
    for name in (*stages, *tells):
        results = {
            "build_all": build.Checked(1, 1),
            "train_snapshots": (1, 2),
            "retention_stage": 0,
        }
        result = results.get(name)

        def noted(*_, name=name, result=result, **__):
            told.append(name)
            return result

        monkeypatch.setattr(run, name, noted)

    def fails(*_):
        told.append("report")
        raise SparkifyError("the notebook failed: no kernel")

    monkeypatch.setattr(run, "report_stage", fails)
    monkeypatch.setattr(run.unchanged, "inputs_of", lambda *_: None)
    with pytest.raises(SparkifyError, match="no kernel"):
        run.run_all(settings, events="events", users=1, seed=1)
    assert told == [*stages, *tells[:-1], "report"]


@pytest.fixture(scope="module")
def stored() -> nbformat.NotebookNode:
    return nbformat.read(report.NOTEBOOK, as_version=4)


def code_of(notebook: nbformat.NotebookNode) -> list[str]:
    return [cell.source for cell in notebook.cells if cell.cell_type == "code"]


def test_cells_are_a_query_and_a_call(stored):
    code = code_of(stored)
    assert 25 <= len(code) <= 35
    assert max(len(cell.splitlines()) for cell in code) <= 12
    trees = [node for cell in code for node in ast.walk(ast.parse(cell))]
    defined = [node.name for node in trees if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    assert defined == ["sql"]
    modules = {node.module for node in trees if isinstance(node, ast.ImportFrom)} | {
        name.name for node in trees if isinstance(node, ast.Import) for name in node.names
    }
    assert not {"altair", "charts", "matplotlib"} & {name.split(".")[0] for name in modules}


def test_no_finding_in_the_prose_is_typed_in(stored):
    prose = [cell.source for cell in stored.cells if cell.cell_type == "markdown"]
    calls = [node for cell in code_of(stored) for node in ast.walk(ast.parse(cell))]
    calls = [each for each in calls if isinstance(each, ast.Call)]
    said = [each for each in calls if getattr(each.func, "id", "") == "say"]
    assert len(said) >= 8
    prose += ["".join(constants(each)) for each in said]
    typed = [each for each in prose if re.search(r"\d", NO_FINDING.sub("", each))]
    assert typed == []


def constants(node: ast.AST) -> list[str]:
    """The texts in an expression, without those that say how a value is formatted."""
    if isinstance(node, ast.FormattedValue):
        return constants(node.value)
    if isinstance(node, ast.Constant):
        return [node.value] if isinstance(node.value, str) else []
    return [text for child in ast.iter_child_nodes(node) for text in constants(child)]


def test_the_stored_outputs_are_pictures_that_every_viewer_shows(stored):
    code = [cell for cell in stored.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    outputs = [output for cell in code for output in cell.outputs]
    assert {output.output_type for output in outputs} <= {"display_data", "execute_result"}
    drawn = [output.data for output in outputs if "image/svg+xml" in output.data]
    assert len(drawn) >= 15
    for data in drawn:
        assert data["image/svg+xml"].startswith("<svg") and "<path" in data["image/svg+xml"]
        assert re.search(r"\d", data["text/plain"]), "its title says no finding"
    assert report.NOTEBOOK.stat().st_size < 1_500_000


@pytest.mark.parametrize(
    "data", [report_data(), report_data(has_model=False), report_data(users=1, has_churn=False)]
)
def test_a_cell_shows_a_picture_or_says_what_lacks(data, monkeypatch):
    shown = []
    monkeypatch.setattr(cells, "display", lambda each, **_: shown.append(each))
    horizon = {"horizon_days": data.about.horizon_days}
    cells.show(
        figures.risk(data.targets["probability"], **horizon),
        figures.contact_value(data.targets, currency="USD"),
        figures.differences(data.differences, **horizon),
        *figures.run_up(data.run_up),
        figures.survival(data.survival),
        *figures.candidates(data.model),
        *(each(data.model) for each in (figures.protocols, figures.calibration, figures.lift)),
        figures.profit(data.model, currency="USD"),
        exploring.reasons(data.targets),
    )
    pictures = [each["image/svg+xml"] for each in shown if isinstance(each, dict)]
    lacks = [each.data for each in shown if not isinstance(each, dict)]
    assert all(picture.startswith("<svg") for picture in pictures)
    assert len(pictures) == (10 if data.model else 3 if len(data.differences) else 0)
    assert data.model or "*There is no model to judge.*" in lacks


def test_the_share_who_leave_is_counted_in_fifths_with_users_as_the_unit():
    users = pd.DataFrame({"user_id": range(100), "songs": range(100)})
    users["leaves"] = users["songs"] < 20
    once = exploring.rates_by_value(users, "songs", label="leaves")
    thrice = exploring.rates_by_value(pd.concat([users] * 3), "songs", label="leaves")
    assert once["rate"].tolist() == [1, 0, 0, 0, 0]
    assert once["value"].tolist() == [9.5, 29.5, 49.5, 69.5, 89.5]
    assert thrice["rows"].tolist() == [60] * 5 and thrice["users"].tolist() == [20] * 5
    # Rows that repeat a user tell nothing new.
    users["leaves"] = users["songs"] % 4 == 0
    once = exploring.rates_by_value(users, "songs", label="leaves")
    thrice = exploring.rates_by_value(pd.concat([users] * 3), "songs", label="leaves")
    assert thrice["low"].tolist() == pytest.approx(once["low"].tolist(), abs=1e-9)


def test_dates_without_a_known_outcome_are_not_drawn_as_staying():
    dates = pd.DataFrame(
        {
            "as_of_date": pd.to_datetime(["2018-10-08", "2018-10-15"]).date,
            "users": [40, 50],
            "churned": [4, None],
        }
    )
    drawn = exploring.mondays(dates, horizon_days=14)
    assert "10\u00a0%" in drawn.title and "Of 1 more date the outcome is not known" in drawn.note
    assert isinstance(exploring.mondays(dates.tail(1), horizon_days=14), figures.Missing)
