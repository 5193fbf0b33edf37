"""Plain lines for logs and pipes: one a notable event, few enough to read."""

from __future__ import annotations

from dataclasses import replace
from types import TracebackType
from typing import TextIO

from automl.config.durations import format_clock
from automl.records import Mode, TrialEvent, TrialState
from automl.review.describe import config_words, score
from automl.review.run_state import ENDED, Look, RunState

_SECONDS_BETWEEN = 5.0


class PlainView:
    """An observer that prints lines. Stages, notes and failures come at once; new incumbents and ended trials
    are gathered and told at most every `every` seconds, so that a quick search does not flood a log."""

    def __init__(
        self, look: Look, stream: TextIO, state: RunState | None = None, every: float = _SECONDS_BETWEEN
    ) -> None:
        self.look = look
        self.state = state or RunState()
        self._stream = stream
        self._every = every
        self._told = -every
        self._ended = dict.fromkeys(ENDED, 0)
        self._best: TrialEvent | None = None

    def stage(self, name: str, text: str) -> None:
        """A stage begins."""
        self._flush()
        self.state.enter(name, text)
        self._print(f"{name}: {text}" if text else name)

    def metric(self, name: str, mode: Mode) -> None:
        """What trials are compared by."""
        self.look = replace(self.look, metric=name, mode=mode)

    def progress(self, done: float, total: float) -> None:
        """Kept, not printed."""
        self.state.move(done, total)

    def trial(self, event: TrialEvent) -> None:
        """A trial started, reported, paused or ended."""
        line = self.state.take(event)
        if line is None:
            return
        if line.kind == "failed":
            self._print(line.text)
        elif line.kind == "best":
            self._best = event
        if event.state in ENDED and line.kind != "failed":
            self._ended[event.state] += 1
        if self.state.elapsed - self._told >= self._every:
            self._flush()

    def note(self, text: str) -> None:
        """A sentence for the person."""
        self._print(self.state.tell(text).text)

    def __enter__(self) -> PlainView:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> None:
        self._flush()

    def _flush(self) -> None:
        """Tell what was gathered: the newest incumbent, and how many trials ended since the last time."""
        parts = []
        if self._best is not None:
            best = self._best
            words = config_words(best.config)
            where = f"trial {best.trial}, round {best.round}"
            parts.append(f"best val {self.look.metric} {score(best.value)} ({where}: {words})")
        words_of = {TrialState.COMPLETE: "done", TrialState.PRUNED: "pruned"}
        ended = [f"{self._ended[state]} {word}" for state, word in words_of.items() if self._ended[state]]
        if ended:
            parts.append(f"trials ended: {', '.join(ended)}; {self.state.count(TrialState.RUNNING)} running")
        if not parts:
            return
        for part in parts:
            self._print(part)
        self._told = self.state.elapsed
        self._best = None
        self._ended = dict.fromkeys(ENDED, 0)

    def _print(self, text: str) -> None:
        print(f"[{format_clock(self.state.elapsed)}] {text}", file=self._stream, flush=True)
