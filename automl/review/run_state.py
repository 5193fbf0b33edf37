"""The state of a running study, collected from its events. Views draw it."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from automl.records import BestSoFar, Mode, TrialEvent, TrialState
from automl.review.describe import score
from automl.terminal.masking import mask_passwords
from automl.terminal.printable import printable, short_words

STAGES = ("scan", "cache", "plan", "search", "retrain", "holdout", "deliver")
_KEPT_EVENTS = 50
ENDED = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.UNFINISHED: "unfinished",
    TrialState.FAILED: "failed",
}


@dataclass(frozen=True)
class ViewHeader:
    """The fixed part of a view: `title` is the study's name, `time_limit` is in seconds.

    `before` seconds of the run had passed when the view opened, such as for loading the libraries.
    """

    title: str
    metric: str
    mode: Mode
    time_limit: float | None
    stages: tuple[str, ...] = STAGES
    before: float = 0.0


@dataclass(frozen=True)
class Line:
    """A notable event: `clock` is seconds since the start; `kind` is best, fell, ended, failed or note."""

    clock: float
    kind: str
    text: str


@dataclass
class RunState:
    """The state of a run. `clock()` counts seconds; tests pass their own.

    `best` is the best trial by the last value of each. `fell` says what it was before where that was better.
    """

    clock: Callable[[], float] = time.monotonic
    planned: tuple[str, ...] = STAGES
    mode: Mode = "max"
    stage: str = ""
    stage_text: str = ""
    done: float = 0.0
    total: float = 0.0
    best: BestSoFar | None = None
    fell: str = ""
    states: dict[int, TrialState] = field(default_factory=dict)
    running: dict[int, TrialEvent] = field(default_factory=dict)  # the last event of each running trial
    curves: dict[int, dict[int, float]] = field(
        default_factory=dict
    )  # trial: the value of each round, until it ends
    history: list[tuple[float, float]] = field(default_factory=list)
    lines: deque[Line] = field(default_factory=lambda: deque(maxlen=_KEPT_EVENTS))
    seen: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    started: float = 0.0
    before: float = 0.0

    def __post_init__(self) -> None:
        self.started = self.clock() - self.before

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return self.clock() - self.started

    def count(self, state: TrialState) -> int:
        """Return how many trials are in a state."""
        return sum(1 for other in self.states.values() if other is state)

    def enter_stage(self, name: str, text: str) -> None:
        """Start a stage."""
        self.stage, self.stage_text = name, printable(text)
        self.done = self.total = 0.0
        if name not in self.seen:
            self.seen.append(name)

    def stages(self) -> list[tuple[str, str]]:
        """Return the stages in order, each `past`, `now` or `next`, without those that were skipped."""
        past = [(name, "past") for name in self.seen if name != self.stage]
        now = [(self.stage, "now")] if self.stage else []
        places = [self.planned.index(name) for name in self.seen if name in self.planned]
        return past + now + [(name, "next") for name in self.planned[max(places, default=-1) + 1 :]]

    def set_progress(self, done: float, total: float) -> None:
        """Set the progress of the stage."""
        self.done, self.total = done, total

    def add_note(self, text: str) -> Line:
        """Add a note, and return its line."""
        line = self._add("note", text)
        if line.text not in self.notes:
            self.notes.append(line.text)
        return line

    def add_event(self, event: TrialEvent) -> list[Line]:
        """Add a trial's event; return the lines of what is notable."""
        before = self.states.get(event.trial)
        self.states[event.trial] = event.state
        self._keep_curve(event)
        self.running.pop(event.trial, None)
        if event.state is TrialState.RUNNING:
            self.running[event.trial] = event
        ended, lines = event.state in ENDED and before is not event.state, []
        if ended and event.state is TrialState.FAILED:
            lines.append(
                self._add("failed", f"trial {event.trial} failed: {event.reason or 'unknown cause'}")
            )
            self.failures.append(lines[0].text)
        best = best_after(event)
        # The best trial reports often; only a new value is news.
        if best is not None and not self._same_best(best):
            lines.append(self._new_best(best))
        elif ended and not lines:
            reason = f": {event.reason}" if event.reason else ""
            what = f"trial {event.trial} {ENDED[event.state]} at round {event.round}{reason}"
            lines.append(self._add("ended", what))
        return lines

    def _keep_curve(self, event: TrialEvent) -> None:
        if event.state in ENDED:
            self.curves.pop(event.trial, None)
        elif event.value is not None and math.isfinite(event.value):
            self.curves.setdefault(event.trial, {})[event.round] = event.value

    def _new_best(self, best: BestSoFar) -> Line:
        before, self.best = self.best, best
        self.fell = fall_words(before, best, self.mode)
        improves = before is not None and before.trial == best.trial and not self.fell
        if improves and self.lines and self.lines[-1].kind == "best":
            self.lines.pop()  # one line for an improving trial
        self.history.append((self.elapsed, best.value))
        where = f"{score(best.value)} at round {best.round}"
        if self.fell:
            return self._add("fell", f"trial {best.trial} is best with only {where} ({self.fell})")
        return self._add("best", f"trial {best.trial} is best: {where}")

    def _same_best(self, best: BestSoFar) -> bool:
        known = self.best
        return known is not None and (known.trial, known.value) == (best.trial, best.value)

    def _add(self, kind: str, text: str) -> Line:
        line = Line(self.elapsed, kind, printable(short_words(" ".join(mask_passwords(text).split()))))
        self.lines.append(line)
        return line


def running_words(event: TrialEvent) -> str:
    """Return which round a running trial is in: `trial 7, round 3 of 9`."""
    # The event is that of the last round that ended.
    most = "" if event.most_rounds is None else f" of {event.most_rounds}"
    return f"trial {event.trial}, round {event.round + 1}{most}"


def best_after(event: TrialEvent) -> BestSoFar | None:
    """Return the best trial after an event, None where it is not known."""
    if event.best is None and event.incumbent and event.value is not None:
        return BestSoFar(event.trial, event.value, event.round, event.config)
    return event.best


def fall_words(before: BestSoFar | None, now: BestSoFar, mode: Mode) -> str:
    """Return what the best was before if that was better than what it is now, else ""."""
    if before is None or not (before.value > now.value if mode == "max" else before.value < now.value):
        return ""
    who = "it" if before.trial == now.trial else f"trial {before.trial}"
    return f"{who} had {score(before.value)} at round {before.round}"
