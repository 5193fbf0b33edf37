"""The block below a notebook's cell: redrawn rarely, complete at the end, escaped."""

from __future__ import annotations

import io
import sys
from types import ModuleType
from typing import Any

import pytest

from automl.records import BestSoFar, TrialEvent, TrialState
from automl.review.choose_view import open_view
from automl.review.notebook.view import NotebookView, notebook_display
from automl.review.plain_lines import PlainView
from automl.review.run_state import RunState, ViewHeader

HEADER = ViewHeader("<photos>", "accuracy", "max", 60.0)


class Clock:
    """A clock that stands still until it is set."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def event(trial: int, state: TrialState, value: float | None, round: int = 1) -> TrialEvent:
    best = None if value is None else BestSoFar(trial, value, round, {"model": "resnet10t", "lr": 0.1})
    return TrialEvent(trial, state, {"model": "resnet10t"}, round, value, 0.0, best=best, most_rounds=9)


def test_block_shows_stage_best_trial_and_counts() -> None:
    shown: list[str] = []
    with NotebookView(HEADER, shown.append, RunState(Clock())) as view:
        view.stage("search", "searching for the best accuracy")
        view.trial(event(0, TrialState.RUNNING, 0.5))
        view.trial(event(1, TrialState.PRUNED, None))
        view.progress(15.0, 60.0)
        view.note("5 files <skipped>.")
    block = shown[-1]
    for text in (
        "0:00 of 1:00",
        "search: searching",
        "0.5000, trial 0",
        "1 running, 1 pruned",
        "round 2 of 9",
    ):
        assert text in block
    assert 'value="0.250"' in block
    assert "<photos>" not in block and "&lt;photos&gt;" in block and "&lt;skipped&gt;" in block


def test_fast_events_do_not_redraw_it_each_time() -> None:
    shown: list[str] = []
    clock = Clock()
    view = NotebookView(HEADER, shown.append, RunState(clock))
    for step in range(100):
        clock.now = step / 100
        view.trial(event(0, TrialState.RUNNING, None, step))
    assert len(shown) == 2


def test_outside_a_notebook_there_is_none() -> None:
    assert notebook_display() is None


def _modules_of_a_notebook(monkeypatch: pytest.MonkeyPatch, *, running: bool) -> list[str]:
    """Stand in for IPython, which tests do not need installed; what a cell shows goes to the list that is returned."""
    shown: list[str] = []

    class Handle:
        def update(self, html: str) -> None:
            shown.append(html)

    kernel, display = ModuleType("IPython"), ModuleType("IPython.display")
    functions: dict[str, Any] = {"HTML": str, "display": lambda html, *, display_id: Handle()}
    vars(display).update(functions)
    vars(kernel).update(get_ipython=lambda: object() if running else None, display=display)
    for name, module in (
        ("ipykernel", ModuleType("ipykernel")),
        ("IPython", kernel),
        ("IPython.display", display),
    ):
        monkeypatch.setitem(sys.modules, name, module)
    return shown


def test_python_in_a_notebook_shows_a_block_and_elsewhere_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(open_view(HEADER, io.StringIO(), python=True), PlainView)
    shown = _modules_of_a_notebook(monkeypatch, running=True)
    with open_view(HEADER, io.StringIO(), python=True) as view:
        assert isinstance(view, NotebookView)
        view.note("Task: regression of age, as its values suggest")
    assert "Task: regression of age" in shown[-1]
    assert isinstance(open_view(HEADER, io.StringIO()), PlainView)  # a command that a cell runs
    _modules_of_a_notebook(monkeypatch, running=False)
    assert isinstance(open_view(HEADER, io.StringIO(), python=True), PlainView)
