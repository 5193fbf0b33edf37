"""The live view in a terminal: time left, stages, trials, the best trial and its curve, latest events."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import replace
from textwrap import wrap
from types import TracebackType

from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.live import Live
from rich.text import Text

from automl.config.durations import format_clock, format_duration
from automl.records import Mode, TrialEvent, TrialState
from automl.review.describe import config_words, score
from automl.review.run_state import Line, RunState, ViewHeader, running_words

_MAX_WIDTH = 140
_SPARK = 40
_RUNNING_SPARK = 16
_MAX_LINES = 8
_FAILURES_SHOWN = 3
_MAX_RUNNING = 4
_LEAST_HEIGHT = 16  # lines of a terminal, from which on running trials are shown
_FRAMES_PER_SECOND = 4
_WIDE = 60
_STYLES = {"best": "green", "fell": "yellow", "failed": "red", "note": "yellow", "ended": "dim"}
_MARKS = {"best": "▲", "fell": "▼", "failed": "✗", "note": "!", "ended": "·"}
_STAGE_MARKS = {"past": ("✓", "green"), "now": ("●", "bold cyan"), "next": ("○", "bright_black")}
_COUNTS = (
    (TrialState.RUNNING, "running", "cyan"),
    (TrialState.PAUSED, "paused", "yellow"),
    (TrialState.COMPLETE, "done", "green"),
    (TrialState.PRUNED, "pruned", "white"),
    (TrialState.UNFINISHED, "unfinished", "white"),
    (TrialState.FAILED, "failed", "red"),
)


class LiveView:
    """An observer that redraws a block of lines in place; leaving its `with` block clears it."""

    def __init__(self, header: ViewHeader, console: Console, state: RunState | None = None) -> None:
        self.header = header
        self.state = state or RunState(before=header.before)
        self.state.mode, self.state.planned = header.mode, header.stages
        # The drawing thread reads what the search thread writes.
        self._lock = threading.Lock()
        self._live = Live(
            self,
            console=console,
            refresh_per_second=_FRAMES_PER_SECOND,
            transient=True,
            vertical_overflow="crop",
        )

    def stage(self, name: str, text: str) -> None:
        """Show a new stage."""
        with self._lock:
            self.state.enter_stage(name, text)

    def metric(self, name: str, mode: Mode) -> None:
        """Set the metric that trials are compared by."""
        with self._lock:
            self.header = replace(self.header, metric=name, mode=mode)
            self.state.mode = mode

    def progress(self, done: float, total: float) -> None:
        """Show the progress of the stage."""
        with self._lock:
            self.state.set_progress(done, total)

    def trial(self, event: TrialEvent) -> None:
        """Show an event of a trial."""
        with self._lock:
            self.state.add_event(event)

    def note(self, text: str) -> None:
        """Show a note among the latest lines, and leave it on the screen at the end."""
        with self._lock:
            self.state.add_note(text)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        with self._lock:
            yield draw(self.state, self.header, options.max_width, options.size.height)

    def __enter__(self) -> LiveView:
        self._live.start(refresh=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> None:
        self._live.stop()
        # Notes and failures stay on the screen.
        left = [*self.state.notes, *self.state.failures[:_FAILURES_SHOWN]]
        more = len(self.state.failures) - _FAILURES_SHOWN
        for text in [*left, f"{more} more trials failed"] if more > 0 else left:
            self._live.console.print(Text(text, style="dim"))


def draw(state: RunState, header: ViewHeader, width: int, height: int) -> Group:
    """Return the block for a terminal of `width` x `height` characters; it never exceeds either."""
    width = max(20, min(width, _MAX_WIDTH))
    head = [_title(state, header, width), _bar(state, header, width), Text()]
    head += [_stages(state, width), _stage_text(state), Text(), _counts(state, width), Text()]
    head += _running(state, width, height)
    head += _incumbent(state, header, width)
    latest = _latest(state.lines, width, max(0, min(_MAX_LINES, height - len(head) - 2)))
    tail = [Text(), *latest] if latest else []
    lines = [*head, *tail][: max(1, height - 1)]
    for line in lines:
        line.no_wrap = True
        line.overflow = "ellipsis"
        line.truncate(width, overflow="ellipsis")
    return Group(*lines)


def _title(state: RunState, header: ViewHeader, width: int) -> Text:
    left = Text.assemble((f" {header.title}", "bold"), (f"   {header.metric}", "dim"))
    if width >= _WIDE:
        left.append(", higher is better" if header.mode == "max" else ", lower is better", style="dim")
    if header.time_limit is None:
        right = f"{format_clock(state.elapsed)} so far"
    else:
        right = f"{format_clock(header.time_limit - state.elapsed)} left"
    left.truncate(max(1, width - len(right) - 2), overflow="ellipsis")
    left.append(" " * max(1, width - left.cell_len - len(right) - 1))
    return left.append(right, style="bold")


def _bar(state: RunState, header: ViewHeader, width: int) -> Text:
    if header.time_limit is None:
        share, label = (state.done / state.total if state.total else 0.0), ""
    else:
        share, label = state.elapsed / header.time_limit, f" of {format_duration(header.time_limit)}"
    share = min(1.0, max(0.0, share))
    text = f"{share:4.0%}{label}"
    room = max(4, width - len(text) - 3)
    filled = round(share * room)
    return Text.assemble(
        " ", ("━" * filled, "cyan"), ("━" * (room - filled), "bright_black"), " ", (text, "dim")
    )


def _stages(state: RunState, width: int) -> Text:
    text = Text(" ")
    stages = state.stages()
    short = width < sum(len(name) + 4 for name, _ in stages)
    for name, when in stages:
        mark, style = _STAGE_MARKS[when]
        text.append(mark if short and when != "now" else f"{mark} {name}", style=style)
        text.append(" " if short else "  ")
    return text


def _stage_text(state: RunState) -> Text:
    text = Text(f" {state.stage_text}" if state.stage_text else " starting")
    if state.total > 0 and state.stage != "search":
        text.append(f"   {min(1.0, state.done / state.total):.0%}", style="cyan")
    return text


def _counts(state: RunState, width: int) -> Text:
    text = Text(" trials ", style="dim")
    for kind, word, style in _COUNTS:
        number = state.count(kind)
        if not number and (width < _WIDE or kind is TrialState.UNFINISHED):
            continue
        text.append(f"  {number}", style=f"bold {style}" if number else "bright_black")
        text.append(f" {word}", style="" if number else "bright_black")
    return text


def _incumbent(state: RunState, header: ViewHeader, width: int) -> list[Text]:
    best = state.best
    if best is None:
        return [Text(" best    no trial has finished a round yet", style="dim"), Text(), Text()]
    values = over_time(state.history, state.elapsed, min(_SPARK, max(8, width - 30)))
    first = state.history[0][1]
    return [
        Text.assemble(
            (" best    ", "dim"),
            (f"val {header.metric} {score(best.value)}", "bold green"),
            (f"   trial {best.trial}, round {best.round}", "dim"),
            (f"   {state.fell}" if state.fell else "", "yellow"),
        ),
        *(Text(f"         {line}") for line in wrap(config_words(best.config), width - 10)[:2]),
        Text.assemble(
            "         ",
            (sparkline(values, len(values)), "green"),
            (f"  {score(first)} → {score(best.value)}", "dim"),
        ),
    ]


def _running(state: RunState, width: int, height: int) -> list[Text]:
    """Return a line for each running trial, as many as a low terminal has room for, and an empty line."""
    events = [state.running[number] for number in sorted(state.running)]
    room = min(_MAX_RUNNING, max(0, (height - _LEAST_HEIGHT) // 2))
    shown = events if len(events) <= room else events[: max(0, room - 1)]
    lines = [
        Text.assemble(
            (" now     " if first else "         ", "dim"),
            (running_words(event), "cyan"),
            (_curve(state, event.trial, width), "green"),
            (f"   {config_words(event.config)}", "dim"),
        )
        for first, event in zip([True, *[False] * len(shown)], shown, strict=False)
    ]
    if room and len(shown) < len(events):
        lines.append(Text(f"         and {len(events) - len(shown)} more", style="dim"))
    return [*lines, Text()] if lines else []


def _curve(state: RunState, trial: int, width: int) -> str:
    """Return the values of a running trial as a sparkline, and the last one; "" without any or without room."""
    values = [*state.curves.get(trial, {}).values()]
    if not values or width < _WIDE:
        return ""
    return f"   {sparkline(values, min(_RUNNING_SPARK, width // 8))} {score(values[-1])}"


def _latest(lines: Iterable[Line], width: int, room: int) -> list[Text]:
    """Return the latest lines that fit into `room` lines, wrapped; of one that is longer than that, its beginning."""
    found: list[Text] = []
    for line in reversed([*lines]):
        parts = _event(line.clock, line.kind, line.text, width)
        if len(parts) > room - len(found):
            return found or parts[:room]
        found = [*parts, *found]
    return found


def _event(clock: float, kind: str, text: str, width: int) -> list[Text]:
    style, edge = _STYLES[kind], 11
    first, *others = wrap(text, max(8, width - edge), break_on_hyphens=False) or [""]
    begin = ((f"{format_clock(clock):>8} ", "bright_black"), (f"{_MARKS[kind]} ", style), (first, style))
    return [Text.assemble(*begin), *(Text(" " * edge + part, style=style) for part in others)]


_BLOCKS = "▁▂▃▄▅▆▇█"


def sparkline(values: Sequence[float], width: int) -> str:
    """Return the values as a line of blocks of at most `width` characters; empty for no values.

    With more values than characters, each character shows the last value of its part. Equal values have the middle
    height.
    """
    if not values or width < 1:
        return ""
    if len(values) > width:
        values = [values[(index + 1) * len(values) // width - 1] for index in range(width)]
    low, high = min(values), max(values)
    if high == low:
        return _BLOCKS[3] * len(values)
    top = len(_BLOCKS) - 1
    return "".join(_BLOCKS[round((value - low) / (high - low) * top)] for value in values)


def over_time(points: Sequence[tuple[float, float]], now: float, width: int) -> list[float]:
    """Return the current value at the end of each of `width` equal parts of the time up to `now`.

    `points` are (seconds, value) in order of time; parts before the first point are left out.
    """
    if not points or width < 1:
        return []
    end = max(now, points[-1][0], 1e-9)
    values: list[float] = []
    for part in range(width):
        until = end * (part + 1) / width
        reached = [value for moment, value in points if moment <= until]
        if reached:
            values.append(reached[-1])
    return values or [points[-1][1]]
