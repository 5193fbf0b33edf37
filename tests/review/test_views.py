"""The live view and the plain lines, fed with events and a clock of the test's own."""

from __future__ import annotations

import io
import math
import os
import pty

import pytest
from rich.console import Console

from automl.records import BestSoFar, Config, Observer, Silent, TrialEvent, TrialState
from automl.review.choose_view import open_view
from automl.review.live import LiveView, draw, over_time, sparkline
from automl.review.plain_lines import PlainView
from automl.review.run_state import RunState, ViewHeader, fall_words

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


def best(trial: int, value: float, epoch: int) -> BestSoFar:
    return BestSoFar(trial, value, epoch, CONFIG)


def fall(view: Observer, clock: Clock) -> None:
    """The best trial gets worse: first it stays the best, then another one is."""
    rounds = [(3, 0.83, best(3, 0.83, 6)), (3, 0.82, best(3, 0.82, 7)), (3, 0.70, best(5, 0.81, 2))]
    for epoch, (trial, value, now) in enumerate(rounds, 6):
        clock.now += 6
        state = TrialState.RUNNING
        view.trial(
            TrialEvent(trial, state, CONFIG, epoch, value, 0.0, best=now, incumbent=now.trial == trial)
        )


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


def test_plain_lines_say_what_the_best_was_before_it_fell() -> None:
    clock, stream = Clock(), io.StringIO()
    with PlainView(HEADER, stream, RunState(clock)) as view:
        fall(view, clock)
    words = "resnet10t, adamw, lr 0.0040"
    assert stream.getvalue().splitlines() == [
        f"[0:06] best val accuracy 0.8300 (trial 3, round 6: {words})",
        f"[0:12] best val accuracy 0.8200 (trial 3, round 7: {words}); it had 0.8300 at round 6",
        f"[0:18] best val accuracy 0.8100 (trial 5, round 2: {words}); trial 3 had 0.8200 at round 7",
    ]


def test_live_view_says_what_the_best_was_before_it_fell() -> None:
    clock = Clock()
    state = RunState(clock)
    fall(LiveView(HEADER, Console(file=io.StringIO()), state), clock)
    text = "\n".join(drawn(state, 90, 24))
    assert "val accuracy 0.8100   trial 5, round 2   trial 3 had 0.8200 at round 7" in text
    assert "▼ trial 3 is best with only 0.8200 at round 7 (it had 0.8300 at round 6)" in text
    state.add_event(event(5, TrialState.RUNNING, 0.9, best=True, epoch=3))
    assert state.fell == "" and state.lines[-1].text == "trial 5 is best: 0.9000 at round 3"


def test_views_name_the_weights_with_their_tag() -> None:
    config = {"model": "resnet18", "pretrained": True, "weights": "resnet18.a1_in1k", "lr": 0.004}
    stream, clock = io.StringIO(), Clock()
    plain, state = PlainView(HEADER, stream, RunState(clock=clock)), RunState(clock=clock)
    live = LiveView(HEADER, Console(file=io.StringIO()), state)
    for view in (plain, live):
        view.trial(TrialEvent(0, TrialState.RUNNING, config, 1, 0.5, 0.0, incumbent=True))
    assert "trial 0, round 1: resnet18.a1_in1k, pretrained, lr 0.0040)" in stream.getvalue()
    assert any("resnet18.a1_in1k, pretrained, lr" in line for line in drawn(state, 90, 30))


def test_smaller_best_is_no_fall_where_smaller_is_better() -> None:
    assert fall_words(best(1, 0.5, 2), best(1, 0.4, 3), "min") == ""
    assert fall_words(best(1, 0.4, 2), best(2, 0.5, 3), "min") == "trial 1 had 0.4000 at round 2"
    assert fall_words(None, best(2, 0.5, 3), "min") == ""


def test_best_trial_that_fails_hands_over_in_the_same_event() -> None:
    clock, stream = Clock(), io.StringIO()
    with PlainView(HEADER, stream, RunState(clock)) as view:
        view.trial(event(1, TrialState.RUNNING, 0.9, best=True))
        clock.now += 6
        view.trial(
            TrialEvent(1, TrialState.FAILED, CONFIG, 2, 0.9, 0.0, "out of memory", best=best(0, 0.5, 3))
        )
    lines = stream.getvalue().splitlines()
    assert lines[1:] == [
        "[0:06] trial 1 failed: out of memory",
        "[0:06] best val accuracy 0.5000 (trial 0, round 3: resnet10t, adamw, lr 0.0040); "
        "trial 1 had 0.9000 at round 1",
    ]


def test_unfinished_trials_are_told_from_pruned_ones() -> None:
    clock, stream = Clock(), io.StringIO()
    with PlainView(HEADER, stream, RunState(clock)) as view:
        view.trial(event(0, TrialState.PRUNED, reason="rank 3 of 3 at round 2"))
        clock.now += 6
        view.trial(event(1, TrialState.UNFINISHED, reason="time is up"))
    assert [line.text for line in view.state.lines] == [
        "trial 0 pruned at round 1: rank 3 of 3 at round 2",
        "trial 1 unfinished at round 1: time is up",
    ]
    assert stream.getvalue().endswith("trials ended: 1 unfinished; 0 running\n")
    assert "1 pruned  1 unfinished  0 failed" in "\n".join(drawn(view.state, 80, 24))


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
        encoding = "utf-8"

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


LONG = "Weights left out for their licence: " + ", ".join(f"model{i} (cc-by-nc-4.0)" for i in range(6)) + "."


def test_live_view_shows_a_long_note_as_a_whole() -> None:
    for width in (60, 80, 100):
        state = RunState(Clock())
        state.add_note("earlier " * 40)
        state.add_note(LONG)
        text = " ".join(" ".join(drawn(state, width, 30)).split())
        assert LONG in text
        state.add_note("a later line")  # for both of which there is no room
        assert drawn(state, width, 18)[-1].endswith("a later line")


def running(trial: int, done: int) -> TrialEvent:
    return TrialEvent(trial, TrialState.RUNNING, CONFIG, done, None, 0.0, most_rounds=9)


def test_live_view_shows_what_is_running() -> None:
    state = RunState(Clock())
    for trial in range(2):
        state.add_event(running(trial, trial))
    lines = drawn(state, 80, 30)
    assert " now     trial 0, round 1 of 9   resnet10t, adamw, lr 0.0040" in lines
    assert "         trial 1, round 2 of 9   resnet10t, adamw, lr 0.0040" in lines
    for trial in range(2, 9):
        state.add_event(running(trial, 0))
    assert "         and 6 more" in drawn(state, 80, 40)
    state.add_event(event(0, TrialState.PAUSED, 0.5))
    assert not any("trial 0, round" in line for line in drawn(state, 80, 40))


def test_live_view_shows_the_curve_of_what_is_running() -> None:
    state = RunState(Clock())
    for done, value in enumerate([0.1, 0.4, 0.5], 1):
        state.add_event(event(0, TrialState.RUNNING, value, epoch=done))
    state.add_event(event(0, TrialState.PAUSED, 0.5, epoch=3))
    state.add_event(event(0, TrialState.RUNNING, 0.5, epoch=3))  # goes on
    state.add_event(event(1, TrialState.RUNNING, math.nan))
    lines = drawn(state, 80, 30)
    assert " now     trial 0, round 4   ▁▆█ 0.5000   resnet10t, adamw, lr 0.0040" in lines
    assert "         trial 1, round 2   resnet10t, adamw, lr 0.0040" in lines
    assert " now     trial 0, round 4   resnet10t, adamw, lr 0.0040" in drawn(state, 59, 30)
    state.add_event(event(0, TrialState.COMPLETE, 0.5, epoch=3))
    assert not state.curves.get(0)


def test_plain_lines_say_what_is_running() -> None:
    clock, stream = Clock(), io.StringIO()
    with PlainView(HEADER, stream, RunState(clock)) as view:
        for trial in range(6):
            view.trial(running(trial, 2))
        view.trial(event(0, TrialState.PRUNED, 0.1))
    assert stream.getvalue().splitlines()[-1] == (
        "[0:00] trials ended: 1 pruned; 5 running (trial 1, round 3 of 9; trial 2, round 3 of 9; trial 3, "
        "round 3 of 9; trial 4, round 3 of 9; and 1 more)"
    )


def test_names_cannot_act_on_the_terminal_and_passwords_are_masked() -> None:
    clock, stream = Clock(), io.StringIO()
    said = "skipped a\x1b]0;x\x07\x9b2J.png at ftp://ann:secret@host/x"
    shown = r"skipped a\x1b]0;x\x07\x9b2J.png at ftp://ann:***@host/x"
    with PlainView(HEADER, stream, RunState(clock)) as view:
        view.stage("scan", "reading \x1b[31mred")
        view.note(said)
        view.trial(event(1, TrialState.FAILED, reason=said))
    text = stream.getvalue()
    assert text.count(shown) == 2 and r"reading \x1b[31mred" in text
    assert "\x1b" not in text and "\x9b" not in text and "secret" not in text
    live = "\n".join(drawn(view.state, 100, 30))
    assert shown in live and "\x9b" not in live


def test_stream_that_takes_no_more_lines_stops_nothing() -> None:
    class Full(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(28, "No space left on device")

    clock = Clock()
    for stream in (Full(), io.StringIO()):
        if not isinstance(stream, Full):
            stream.close()
        with PlainView(HEADER, stream, RunState(clock)) as view:
            play(view, clock)
        assert view.state.best is not None


def test_terminal_that_is_closed_stops_nothing() -> None:
    master, slave = pty.openpty()
    clock, terminal = Clock(), os.fdopen(slave, "w", encoding="utf-8")
    with open_view(HEADER, terminal) as view:
        assert isinstance(view, LiveView)
        view.stage("scan", "reading 10 images")
        os.close(master)  # writing raises OSError from now on
        play(view, clock)
        view._live.refresh()
        assert view.state.best is not None
    with pytest.raises(OSError, match="Input/output error"):  # what is buffered
        terminal.close()
