"""The live view and the plain lines, fed with events and a clock of the test's own."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from automl.records import Config, Observer, Silent, TrialEvent, TrialState
from automl.review.choose_view import open_view
from automl.review.live import LiveView, draw, over_time, sparkline
from automl.review.plain_lines import PlainView
from automl.review.run_state import RunState, ViewHeader

HEADER = ViewHeader("digits", "accuracy", "max", 180.0)
CONFIG: Config = {"model": "resnet10t", "opt": "adamw", "lr": 0.004}


class Clock:
    """A clock that stands still unless told."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def event(
    trial: int,
    state: TrialState,
    value: float | None = None,
    *,
    best: bool = False,
    reason: str = "",
    epoch: int = 1,
) -> TrialEvent:
    return TrialEvent(trial, state, CONFIG, epoch, value, 0.0, reason, best)


def play(view: Observer, clock: Clock) -> None:
    """A short run: two trials, an incumbent that improves, one pruned, one failed."""
    view.stage("scan", "reading 10 images")
    view.progress(5, 10)
    view.note("1 file skipped: a.jpg (truncated)")
    clock.now += 6
    view.stage("search", "2 trials at once")
    view.trial(event(0, TrialState.RUNNING))
    view.trial(event(0, TrialState.RUNNING, 0.5, best=True))
    view.trial(event(0, TrialState.RUNNING, 0.5, best=True))
    clock.now += 1
    view.trial(event(0, TrialState.RUNNING, 0.75, best=True, epoch=2))
    view.trial(event(1, TrialState.RUNNING))
    view.trial(event(1, TrialState.FAILED, reason="RuntimeError: two\nlines"))
    view.trial(event(2, TrialState.RUNNING, 0.1))
    view.trial(event(2, TrialState.PRUNED, 0.1, reason="rank 3 of 3"))
    clock.now += 6
    view.trial(event(0, TrialState.COMPLETE, 0.75, epoch=9))


def drawn(state: RunState, width: int, height: int) -> list[str]:
    console = Console(file=io.StringIO(), width=width, height=height, force_terminal=True, color_system=None)
    with console.capture() as captured:
        console.print(draw(state, HEADER, width, height))
    return captured.get().splitlines()


def test_plain_lines_tell_what_is_notable_once() -> None:
    clock, stream = Clock(), io.StringIO()
    with PlainView(HEADER, stream, RunState(clock)) as view:
        play(view, clock)
    assert stream.getvalue().splitlines() == [
        "[0:00] scan: reading 10 images",
        "[0:00] 1 file skipped: a.jpg (truncated)",
        "[0:06] search: 2 trials at once",
        "[0:06] best val accuracy 0.5000 (trial 0, round 1: resnet10t, adamw, lr 0.0040)",
        "[0:07] trial 1 failed: RuntimeError: two lines",
        "[0:13] best val accuracy 0.7500 (trial 0, round 2: resnet10t, adamw, lr 0.0040)",
        "[0:13] trials ended: 1 done, 1 pruned; 0 running",
    ]


def test_plain_lines_stay_few_in_a_quick_search() -> None:
    clock, stream = Clock(), io.StringIO()
    with PlainView(HEADER, stream, RunState(clock)) as view:
        for trial in range(500):
            clock.now += 0.1
            view.trial(event(trial, TrialState.RUNNING, trial / 500, best=True))
            view.trial(event(trial, TrialState.PRUNED, trial / 500))
    lines = stream.getvalue().splitlines()
    assert len(lines) <= 2 * (50 / 5 + 2)
    assert sum(int(line.split("ended: ")[1].split(" pruned")[0]) for line in lines if "ended" in line) == 500


def test_live_view_shows_time_stages_counts_and_incumbent() -> None:
    clock = Clock()
    state = RunState(clock)
    view = LiveView(HEADER, Console(file=io.StringIO()), state)
    play(view, clock)
    text = "\n".join(drawn(state, 80, 24))
    assert "digits   accuracy, higher is better" in text
    assert "2:47 left" in text
    assert "✓ scan  ● search  ○ retrain  ○ holdout  ○ deliver" in text
    assert "0 running  0 paused  1 done  1 pruned  1 failed" in text
    assert "val accuracy 0.7500   trial 0, round 2" in text
    assert "resnet10t, adamw, lr 0.0040" in text
    assert "0.5000 → 0.7500" in text
    assert "trial 1 failed: RuntimeError: two lines" in text


def test_live_view_keeps_one_line_for_a_climbing_trial() -> None:
    clock = Clock()
    state = RunState(clock)
    for epoch in range(1, 6):
        state.add_event(event(0, TrialState.RUNNING, epoch / 10, best=True, epoch=epoch))
    assert [line.text for line in state.lines] == ["trial 0 is best: 0.5000 at round 5"]
    assert len(state.history) == 5


@pytest.mark.parametrize(
    ("width", "height"), [(120, 40), (80, 24), (60, 12), (40, 10), (20, 5), (10, 3), (300, 80)]
)
def test_live_view_fits_every_terminal(width: int, height: int) -> None:
    clock = Clock()
    state = RunState(clock)
    for view in (None, LiveView(HEADER, Console(file=io.StringIO()), state)):
        if view is not None:
            play(view, clock)
            state.enter_stage("search", "a very long sentence about the search " * 9)
        lines = drawn(state, max(width, 20), height)
        assert len(lines) < max(height, 2) or height < 3
        assert all(len(line) <= max(width, 20) for line in lines)


def test_live_view_without_time_limit_counts_up() -> None:
    clock = Clock()
    state = RunState(clock)
    clock.now += 65
    console = Console(file=io.StringIO(), width=80, height=24)
    with console.capture() as captured:
        console.print(draw(state, ViewHeader("digits", "rmse", "min", None), 80, 24))
    assert "1:05 so far" in captured.get()
    assert "rmse, lower is better" in captured.get()


def test_live_view_leaves_notes_and_failures_behind() -> None:
    clock, stream = Clock(), io.StringIO()
    console = Console(file=stream, force_terminal=True, width=80, height=24, color_system=None)
    with LiveView(HEADER, console, RunState(clock)) as view:
        play(view, clock)
        for trial in range(10, 15):
            view.trial(event(trial, TrialState.FAILED, reason="no"))
    left = stream.getvalue().split("\x1b[?25h")[-1]
    assert "1 file skipped: a.jpg (truncated)" in left
    assert "trial 1 failed: RuntimeError: two lines" in left
    assert "3 more trials failed" in left


def test_watch_chooses_the_view_for_the_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    with open_view(HEADER, Terminal(), quiet=True) as observer:
        assert isinstance(observer, Silent)
    monkeypatch.setenv("TERM", "xterm-256color")
    assert isinstance(open_view(HEADER, Terminal()), LiveView)
    assert isinstance(open_view(HEADER, io.StringIO()), PlainView)
    monkeypatch.setenv("TERM", "dumb")
    assert isinstance(open_view(HEADER, Terminal()), PlainView)


@pytest.mark.parametrize(
    ("values", "width", "line"),
    [
        ([], 5, ""),
        ([1.0], 0, ""),
        ([3.0, 3.0], 5, "▄▄"),
        ([0.0, 1.0], 5, "▁█"),
        (list(range(8)), 8, "▁▂▃▄▅▆▇█"),
        (list(range(16)), 2, "▁█"),
    ],
)
def test_sparkline_spans_lowest_to_highest(values: list[float], width: int, line: str) -> None:
    assert sparkline(values, width) == line


def test_curve_over_time_holds_each_value_until_the_next() -> None:
    assert over_time([(5.0, 0.1), (8.0, 0.9)], 10.0, 10) == [0.1, 0.1, 0.1, 0.9, 0.9, 0.9]
    assert over_time([], 10.0, 10) == []
    assert over_time([(0.0, 0.3)], 0.0, 4) == [0.3] * 4
