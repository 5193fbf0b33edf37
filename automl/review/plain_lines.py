"""The view for logs and pipes: a line for each notable event."""

from __future__ import annotations

from dataclasses import replace
from types import TracebackType
from typing import TextIO

from automl.config.durations import format_clock
from automl.records import BestSoFar, Mode, TrialEvent, TrialState
from automl.review.describe import config_words, score
from automl.review.run_state import ENDED, RunState, ViewHeader, fall_words, running_words
from automl.terminal.printable import printable
from automl.terminal.streams import UntilBroken

_SECONDS_BETWEEN = 5.0
_MAX_RUNNING = 4


class PlainView:
    """An observer that prints lines. Stages, notes and failures are printed at once. New best trials and ended trials
    are collected and printed at most every `every` seconds, so that a fast search does not flood a log."""

    def __init__(
        self,
        header: ViewHeader,
        stream: TextIO,
        state: RunState | None = None,
        every: float = _SECONDS_BETWEEN,
    ) -> None:
        self.header = header
        self.state = state or RunState(before=header.before)
        self._stream = UntilBroken(stream)
        self._every = every
        self._flushed = -every
        self._ended = dict.fromkeys(ENDED, 0)
        self._printed: BestSoFar | None = None
        self.state.mode = header.mode

    def stage(self, name: str, text: str) -> None:
        """Print a new stage."""
        self._flush()
        self.state.enter_stage(name, text)
        self._print(f"{name}: {text}" if text else name)

    def metric(self, name: str, mode: Mode) -> None:
        """Set the metric that trials are compared by."""
        self.header = replace(self.header, metric=name, mode=mode)
        self.state.mode = mode

    def progress(self, done: float, total: float) -> None:
        """Keep the progress without printing it."""
        self.state.set_progress(done, total)

    def trial(self, event: TrialEvent) -> None:
        """Print failures; collect other events."""
        lines = self.state.add_event(event)
        if not lines:
            return
        for line in lines:
            if line.kind == "failed":
                self._print(line.text)
        if event.state in ENDED:
            self._ended[event.state] += 1
        if self.state.elapsed - self._flushed >= self._every:
            self._flush()

    def note(self, text: str) -> None:
        """Print a note."""
        self._print(self.state.add_note(text).text)

    def __enter__(self) -> PlainView:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> None:
        self._flush()

    def _flush(self) -> None:
        """Print the newest best trial, and how many trials ended since the last time."""
        parts = []
        best = self.state.best
        if best is not None and best != self._printed:
            words = config_words(best.config)
            fell = fall_words(self._printed, best, self.state.mode)
            where = f"(trial {best.trial}, round {best.round}: {words})" + (f"; {fell}" if fell else "")
            parts.append(f"best val {self.header.metric} {score(best.value)} {where}")
        words_of = {**ENDED, TrialState.COMPLETE: "done"}
        del words_of[TrialState.FAILED]
        ended = [f"{self._ended[state]} {word}" for state, word in words_of.items() if self._ended[state]]
        if ended:
            parts.append(f"trials ended: {', '.join(ended)}; {self._running()}")
        if not parts:
            return
        for part in parts:
            self._print(part)
        self._flushed = self.state.elapsed
        self._printed = best
        self._ended = dict.fromkeys(ENDED, 0)

    def _running(self) -> str:
        """Return how many trials run, and which: `2 running (trial 4, round 2 of 9; trial 5, round 1 of 9)`."""
        events = [self.state.running[number] for number in sorted(self.state.running)]
        which = "; ".join(running_words(event) for event in events[:_MAX_RUNNING])
        more = f"; and {len(events) - _MAX_RUNNING} more" if len(events) > _MAX_RUNNING else ""
        return f"{len(events)} running" + (f" ({which}{more})" if events else "")

    def _print(self, text: str) -> None:
        """Print a line, unless the stream took none before: a full disk or a reader that has gone stops no study."""
        print(f"[{format_clock(self.state.elapsed)}] {printable(text)}", file=self._stream, flush=True)
