"""Tables for notebooks: escaped, and cut where they are long."""

from __future__ import annotations

from pathlib import Path

import pytest

import automl
from automl.records import Task
from automl.result import FitResult
from automl.terminal.html_table import html_table
from tests.final.evaluation.test_record import an_evaluation
from tests.review.studies_on_disk import RESULT

ODD = '<img src=x onerror="alert(1)">\x1b'


def test_cells_and_titles_are_escaped() -> None:
    shown = html_table([(ODD, 1)], columns=(ODD,), title=ODD)
    assert "<img" not in shown and shown.count("&lt;img") == 3 and "\x1b" not in shown


def test_rows_beyond_the_most_are_counted() -> None:
    shown = html_table([(i,) for i in range(100)], most=10)
    assert shown.count("<tr>") == 10 and "and 90 more rows" in shown


@pytest.mark.parametrize("task", ["classification", "multilabel", "regression"])
def test_evaluation_shows_its_metrics(task: Task) -> None:
    evaluation = an_evaluation(task)
    shown = evaluation._repr_html_()
    assert all(name in shown for name in evaluation.metrics)
    assert f"50 images for {task}" in shown


def test_result_shows_its_summary(tmp_path: Path) -> None:
    shown = FitResult(tmp_path, RESULT)._repr_html_()
    assert "holdout accuracy" in shown and "0.9200 (0.7484 to 0.9777)" in shown
    unusable = FitResult(tmp_path, {**RESULT, "usable": False})._repr_html_()
    assert "ot usable" in unusable


def test_report_shows_classes_and_findings() -> None:
    shown = automl.inspect("digits")._repr_html_()
    assert "1,797 for classification, 0 unreadable" in shown
    assert shown.count("<tr>") >= 14


def test_tune_result_shows_best_and_trials() -> None:
    space = {"parameters": {"x": {"type": "float", "low": 0.1, "high": 0.9}}}
    result = automl.tune(
        lambda config: iter([{"acc": config["x"]}]),
        space,
        metric="acc",
        max_epochs=1,
        n_trials=3,
        engine="simulated",
    )
    shown = result._repr_html_()
    assert "best value" in shown and f"{result.best_value:.6g}" in shown and "complete" in shown
