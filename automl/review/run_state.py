"""The state of a running study, collected from its events. Views draw it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from automl.records import Mode, TrialEvent, TrialState

STAGES = ("scan", "cache", "plan", "search", "retrain", "holdout", "deliver")
_KEPT_EVENTS = 50
ENDED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAILED)


@dataclass(frozen=True)
class ViewHeader:
    """The fixed part of a view: `title` is the study's name, `time_limit` is in seconds."""

    title: str
    metric: str
    mode: Mode
    time_limit: float | None


@dataclass(frozen=True)
class Line:
    """A notable event: `clock` is seconds since the start; `kind` is best, ended, failed or note."""

    clock: float
    kind: str
    text: str


@dataclass
class RunState:
    """The state of a run. `clock()` counts seconds; tests pass their own."""

    clock: Callable[[], float] = time.monotonic
    stage: str = ""
    stage_text: str = ""
    done: float = 0.0
    total: float = 0.0
    best: TrialEvent | None = None
    states: dict[int, TrialState] = field(default_factory=dict)
    history: list[tuple[float, float]] = field(default_factory=list)
    lines: deque[Line] = field(default_factory=lambda: deque(maxlen=_KEPT_EVENTS))
    seen: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    started: float = 0.0

    def __post_init__(self) -> None:
        self.started = self.clock()

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return self.clock() - self.started

    def count(self, state: TrialState) -> int:
        """Return how many trials are in a state."""
        return sum(1 for other in self.states.values() if other is state)

    def enter_stage(self, name: str, text: str) -> None:
        """Start a stage."""
        self.stage, self.stage_text = name, text
        self.done = self.total = 0.0
        if name not in self.seen:
            self.seen.append(name)

    def stages(self) -> list[tuple[str, str]]:
        """Return the stages in order, each `past`, `now` or `next`, without those that were skipped."""
        past = [(name, "past") for name in self.seen if name != self.stage]
        now = [(self.stage, "now")] if self.stage else []
        places = [STAGES.index(name) for name in self.seen if name in STAGES]
        return past + now + [(name, "next") for name in STAGES[max(places, default=-1) + 1 :]]

    def set_progress(self, done: float, total: float) -> None:
        """Set the progress of the stage."""
        self.done, self.total = done, total

    def add_note(self, text: str) -> Line:
        """Add a note, and return its line."""
        line = self._add("note", text)
        if line.text not in self.notes:
            self.notes.append(line.text)
        return line

    def add_event(self, event: TrialEvent) -> Line | None:
        """Add a trial's event; return its line if it is notable."""
        before = self.states.get(event.trial)
        self.states[event.trial] = event.state
        # The best trial reports often; only a new value is news.
        news = event.incumbent and event.value is not None and not self._same_best(event)
        if news and event.value is not None:
            if self.lines and self.lines[-1].kind == "best" and self.best and self.best.trial == event.trial:
                self.lines.pop()  # one line for an improving trial
            self.best = event
            self.history.append((self.elapsed, event.value))
            return self._add("best", f"trial {event.trial} is best: {event.value:.4f} at round {event.round}")
        if event.state is TrialState.FAILED and before is not TrialState.FAILED:
            line = self._add("failed", f"trial {event.trial} failed: {event.reason or 'unknown cause'}")
            self.failures.append(line.text)
            return line
        if event.state in ENDED and before is not event.state:
            reason = f": {event.reason}" if event.reason else ""
            verb = "complete" if event.state is TrialState.COMPLETE else "pruned"
            return self._add("ended", f"trial {event.trial} {verb} at round {event.round}{reason}")
        return None

    def _same_best(self, event: TrialEvent) -> bool:
        best = self.best
        return best is not None and best.trial == event.trial and best.value == event.value

    def _add(self, kind: str, text: str) -> Line:
        line = Line(self.elapsed, kind, " ".join(text.split()))
        self.lines.append(line)
        return line
