"""The report: from any folder, and never in the way of what a run has to tell."""

import os

import nbformat.v4
import pytest

from sparkify import run
from sparkify.errors import SparkifyError
from sparkify.report import notebook as report


def made_of(*cells: str) -> nbformat.NotebookNode:
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])


def test_a_notebook_is_executed_from_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    executed = made_of("6 * 7")
    report.execute(executed, dict(os.environ))
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
    stages = ("open_stage", "build_all", "train_stage", "score_stage", "retention_stage")
    tells = ("show_data", "show_backtest", "told_of", "show_most_at_risk", "show_targets")
    tells += ("show_next",)
    for name in (*stages, *tells):
        results = {"build_all": run.Checked(1, 1), "train_stage": (1, 2), "retention_stage": 0}
        result = results.get(name)

        def noted(*_, name=name, result=result, **__):
            told.append(name)
            return result

        monkeypatch.setattr(run, name, noted)

    def fails(*_):
        told.append("report")
        raise SparkifyError("the notebook failed: no kernel")

    monkeypatch.setattr(run, "report_stage", fails)
    with pytest.raises(SparkifyError, match="no kernel"):
        run.run_all(settings, events="events", users=1, seed=1)
    assert told == [*stages, *tells[:-1], "report"]
