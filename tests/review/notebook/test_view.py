"""The block below a notebook's cell: redrawn rarely, complete at the end, escaped."""

from __future__ import annotations

from automl.records import BestSoFar, TrialEvent, TrialState
from automl.review.notebook.view import NotebookView, notebook_display
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
