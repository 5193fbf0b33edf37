"""What a policy is: the words it is spoken to in, and the book-keeping that all policies share."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Protocol

from automl.records import Mode, Report, TrialState
from automl.search.reasons import Code, Reason


class Action(StrEnum):
    """What a policy answers to a report."""

    CONTINUE = "continue"
    PAUSE = "pause"
    STOP = "stop"


@dataclass(frozen=True)
class Decision:
    """The answer to a report. `state` is the trial's state after it; `rung` the round it was compared at."""

    action: Action
    state: TrialState
    reason: Reason
    rung: int | None = None


class NextKind(StrEnum):
    """What a free worker should do."""

    RESUME = "resume"
    START = "start"
    WAIT = "wait"
    FINISH = "finish"


@dataclass(frozen=True)
class Next:
    """The answer to a free worker; `trial` is set for RESUME only."""

    kind: NextKind
    reason: Reason
    trial: int | None = None


@dataclass(frozen=True)
class PolicyContext:
    """What a policy knows before the first trial: the full length in rounds and which way is better."""

    max_rounds: int
    mode: Mode = "max"


@dataclass
class TrialView:
    """A trial as a policy sees it.

    `round` is where it stands; for one of an earlier run, that is its checkpoint, which may be before its last report.
    `values` are the reported ones by round, NaN included. `first_rung` is the round at which it was to be compared
    first when it began; None where nobody wrote that down.
    """

    number: int
    state: TrialState = TrialState.RUNNING
    round: int = 0
    values: dict[int, float] = field(default_factory=dict)
    first_rung: int | None = None


class Policy(Protocol):
    """Decides about trials. Values are compared as the context's mode says; NaN and infinities come last."""

    def rungs(self, trial: int | None = None) -> tuple[int, ...]:
        """Rounds after which the trial may have to be carried on elsewhere, and so should be saved, ascending up to the
        full length; None: of one that would start now, whatever its number.
        """

    def started(self, trial: int, resumed: bool) -> None:
        """The trial runs now. What `next` picked counts only from here on."""

    def report(self, report: Report) -> Decision:
        """A round is done: go on, pause or stop, and why."""

    def ended(self, trial: int, state: TrialState) -> None:
        """The trial left the workers without a decision of this policy: crashed, cut, or ended by itself."""

    def next(self, *, may_start: bool = True) -> Next:
        """What a free worker should do; asking changes nothing. `may_start`: new trials are still allowed."""

    def restore(self, past: Iterable[TrialView]) -> None:
        """Takes in the trials of an earlier run, in place of all that was known before.

        One that is RUNNING was interrupted: it is resumed before anything else.
        """


class TrialBook:
    """The part that all policies share: who runs, who waits to be carried on, when a trial is complete.

    A policy overrides `judge` (a report below the full length) and, if it pauses trials, `promotion` and
    `last_resort`.
    """

    def __init__(self, context: PolicyContext, rungs: Iterable[int]) -> None:
        self.context = context
        self.trials: dict[int, TrialView] = {}
        self._rungs = tuple(sorted(set(rungs)))
        self._interrupted: dict[int, int] = {}
        # Kept along: a look at ten thousand trials for each free worker would take milliseconds.
        self._running: set[int] = set()

    def rungs(self, trial: int | None = None) -> tuple[int, ...]:
        """Rounds after which a trial should be saved: the same for all."""
        return self._rungs

    def started(self, trial: int, resumed: bool) -> None:
        """The trial runs now, for the first time or again."""
        view = self.trials.setdefault(trial, TrialView(trial))
        self._became(view, TrialState.RUNNING)
        self._interrupted.pop(trial, None)
        if resumed:
            self.promoted(view)

    def report(self, report: Report) -> Decision:
        """A round is done: go on, pause or stop, and why."""
        view = self.trials.setdefault(report.trial, TrialView(report.trial))
        view.round = report.round
        view.values[report.round] = report.value
        decision = self._decide(view, report)
        self._became(view, decision.state)
        return decision

    def ended(self, trial: int, state: TrialState) -> None:
        """The trial left the workers for good."""
        view = self.trials.setdefault(trial, TrialView(trial))
        self._became(view, state)
        self._interrupted.pop(trial, None)
        if state is TrialState.FAILED:
            self.dropped(view)

    def next(self, *, may_start: bool = True) -> Next:
        """Trials that a stop interrupted, then promotions, then a new trial."""
        for trial, round in sorted(self._interrupted.items()):
            return Next(NextKind.RESUME, Reason(Code.AFTER_INTERRUPTION, {"round": round}), trial)
        promotion = self.promotion()
        if promotion is not None:
            return promotion
        if may_start:
            return Next(NextKind.START, self.start_reason())
        if self._running:
            return Next(NextKind.WAIT, Reason(Code.NOTHING_YET))
        rescue = None if self._any_complete() else self.last_resort()
        return rescue or Next(NextKind.FINISH, Reason(Code.NOTHING_LEFT))

    def restore(self, past: Iterable[TrialView]) -> None:
        """Takes in copies of the trials of an earlier run."""
        self.trials.clear()
        self._interrupted.clear()
        self._running.clear()
        for one in sorted(past, key=lambda one: one.number):
            view = replace(one, values=dict(one.values))
            self.trials[one.number] = view
            if one.state is TrialState.RUNNING:
                # Nobody runs it at the moment: as PAUSED it cannot make `next` wait for it.
                view.state = TrialState.PAUSED
                self._interrupted[one.number] = one.round
            self.restored(view)

    # What policies override -----------------------------------------------------------------------------

    def judge(self, view: TrialView, report: Report) -> Decision:
        """Decides about a report below the full length."""
        return Decision(Action.CONTINUE, TrialState.RUNNING, Reason(Code.NEVER_STOPPED))

    def promotion(self) -> Next | None:
        """The paused trial that should be carried on now, if there is one."""
        return None

    def last_resort(self) -> Next | None:
        """The paused trial to carry on when otherwise no trial at all would be complete."""
        return None

    def start_reason(self) -> Reason:
        """Why a new trial is started now."""
        return Reason(Code.WORKER_FREE)

    def promoted(self, view: TrialView) -> None:
        """A paused trial runs again."""

    def dropped(self, view: TrialView) -> None:
        """A trial crashed: it no longer takes part in comparisons."""

    def restored(self, view: TrialView) -> None:
        """A trial of an earlier run was taken in."""

    # ------------------------------------------------------------------------------------------------------

    def loss(self, value: float) -> float:
        """The value as something to minimise; NaN and both infinities become +inf, that is, last."""
        if not math.isfinite(value):
            return math.inf
        return -value if self.context.mode == "max" else value

    def _decide(self, view: TrialView, report: Report) -> Decision:
        if report.round >= self.context.max_rounds:
            reason = Reason(Code.FULL_LENGTH, {"rounds": self.context.max_rounds})
            return Decision(Action.STOP, TrialState.COMPLETE, reason, report.round)
        return self.judge(view, report)

    def _became(self, view: TrialView, state: TrialState) -> None:
        view.state = state
        if state is TrialState.RUNNING:
            self._running.add(view.number)
        else:
            self._running.discard(view.number)

    def _any_complete(self) -> bool:
        return any(view.state is TrialState.COMPLETE for view in self.trials.values())
