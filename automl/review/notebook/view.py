"""The view in a notebook: one block below the cell that is redrawn in place, in Jupyter, Colab and editors."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from types import TracebackType
from typing import Any

from automl.config.durations import format_clock
from automl.records import Mode, TrialEvent, TrialState
from automl.review.describe import config_words, score
from automl.review.run_state import ENDED, RunState, ViewHeader, running_words
from automl.terminal.html_table import html_table, html_text

SECONDS_BETWEEN = 0.5
_LINES, _RUNNING = 8, 4
_BAR = '<progress max="1" value="{share:.3f}" style="width:20em"></progress>'
Show = Callable[[str], None]


class NotebookView:
    """An observer that redraws a block of HTML, at most twice a second; its last state stays below the cell."""

    def __init__(
        self, header: ViewHeader, show: Show, state: RunState | None = None, every: float = SECONDS_BETWEEN
    ) -> None:
        """`show` takes the HTML of the block each time."""
        self.header = header
        self.state = state or RunState(before=header.before)
        self.state.mode, self.state.planned = header.mode, header.stages
        self._show, self._every = show, every
        self._drawn = -every

    def stage(self, name: str, text: str) -> None:
        """Show a new stage."""
        self.state.enter_stage(name, text)
        self._draw()

    def metric(self, name: str, mode: Mode) -> None:
        """Set the metric that trials are compared by."""
        self.header = replace(self.header, metric=name, mode=mode)
        self.state.mode = mode

    def progress(self, done: float, total: float) -> None:
        """Show the progress of the stage."""
        self.state.set_progress(done, total)
        self._draw_if_due()

    def trial(self, event: TrialEvent) -> None:
        """Show an event of a trial."""
        self.state.add_event(event)
        self._draw_if_due()

    def note(self, text: str) -> None:
        """Show a note, which stays."""
        self.state.add_note(text)
        self._draw()

    def __enter__(self) -> NotebookView:
        self._draw()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> None:
        self._draw()

    def _draw_if_due(self) -> None:
        if self.state.elapsed - self._drawn >= self._every:
            self._draw()

    def _draw(self) -> None:
        self._drawn = self.state.elapsed
        self._show(drawn(self.state, self.header))


def drawn(state: RunState, header: ViewHeader) -> str:
    """Return the block: time, stage and its progress, the best trial, counts, and the latest events."""
    limit = "" if header.time_limit is None else f" of {format_clock(header.time_limit)}"
    share = min(1.0, state.done / state.total) if state.total > 0 else 0.0
    counts = [
        f"{count} {word}"
        for kind, word in {TrialState.RUNNING: "running", TrialState.PAUSED: "paused", **ENDED}.items()
        if (count := state.count(kind))
    ]
    running = [running_words(state.running[number]) for number in sorted(state.running)][:_RUNNING]
    rows = [("stage", f"{state.stage}: {state.stage_text}" if state.stage else "starting")]
    if state.best is not None:
        rows.append((f"best val {header.metric}", f"{score(state.best.value)}, trial {state.best.trial}"))
        rows.append(("of", config_words(state.best.config)))
    rows += [("trials", ", ".join(counts)), ("running", "; ".join(running))]
    lines = [f"{format_clock(line.clock)}  {line.text}" for line in list(state.lines)[-_LINES:]]
    notes = "".join(f"<li>{html_text(line)}</li>" for line in lines)
    return (
        f"<div><strong>{html_text(header.title)}</strong> {format_clock(state.elapsed)}{limit} "
        f"{_BAR.format(share=share) if share else ''}{html_table([row for row in rows if row[1]])}"
        f"<ul>{notes}</ul></div>"
    )


def notebook_display() -> Show | None:
    """Return a function that shows HTML below the running cell, and replaces it each time; None outside a notebook."""
    if "ipykernel" not in sys.modules or "IPython" not in sys.modules:
        return None
    from IPython import get_ipython
    from IPython.display import HTML, display

    if get_ipython() is None:
        return None
    handle: Any = display(HTML(""), display_id=True)
    return None if handle is None else lambda text: handle.update(HTML(text))
