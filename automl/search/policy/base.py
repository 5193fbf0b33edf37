"""What a policy is, and the bookkeeping that all policies share."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Protocol

from automl.records import Mode, Report, TrialState
from automl.search.policy.significance import Significance
from automl.search.reasons import Code, Reason, Value


class Action(StrEnum):
    """A policy's answer to a report."""

    CONTINUE = "continue"
    PAUSE = "pause"
    STOP = "stop"


@dataclass(frozen=True)
class Decision:
    """The answer to a report. `state` is the trial's state after it, `rung` the round at which it was compared."""

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
    """The answer to a free worker. `trial` is set for RESUME only."""

    kind: NextKind
    reason: Reason
    trial: int | None = None


@dataclass(frozen=True)
class PolicyContext:
    """What a policy knows before the first trial: the full length in rounds, and whether more or less is better.

    `significance` tells what a difference of values is worth. None: every difference counts.
    """

    max_rounds: int
    mode: Mode = "max"
    significance: Significance | None = None


@dataclass
class TrialView:
    """A trial as a policy sees it.

    `round` is where it stands. For a trial of an earlier run that is its checkpoint, perhaps before its last report.
    `values` are the reported ones by round, NaN included; `rows` are the validation rows of those that were scored on a
    part of them. `first_rung` is the round of its first comparison, as planned when it began; None where it is not
    known.
    """

    number: int
    state: TrialState = TrialState.RUNNING
    round: int = 0
    values: dict[int, float] = field(default_factory=dict)
    first_rung: int | None = None
    rows: dict[int, int] = field(default_factory=dict)

    def add(self, report: Report) -> None:
        """Take in a round. A second report of the same round replaces the first."""
        self.round = report.round
        self.values[report.round] = report.value
        self.rows[report.round] = report.rows


class Policy(Protocol):
    """Decides about trials. Values are compared by the context's mode; NaN and infinities come last.

    A trial whose value is finite but no better than the trivial answer by more than chance is never stopped, and equal
    values are no order: neither wins by its number.
    """

    def rungs(self, trial: int | None = None) -> tuple[int, ...]:
        """Return the rounds at which the trial may pause, and is saved, up to the full length. None: a new trial."""

    def started(self, trial: int, resumed: bool) -> None:
        """The trial runs now. A choice of `next` has an effect only from here on."""

    def report(self, report: Report) -> Decision:
        """Take in a round and decide: continue, pause or stop, and why."""

    def ended(self, trial: int, state: TrialState) -> None:
        """The trial left the workers without a decision of this policy: crashed, cut, or ended by itself."""

    def next(self, *, may_start: bool = True) -> Next:
        """Return what a free worker should do. Asking changes nothing. `may_start`: new trials are allowed."""

    def beaten(self, trial: int) -> Reason | None:
        """Return why a paused trial counts as pruned if the search ends now; None if the others did no better."""

    def restore(self, past: Iterable[TrialView]) -> None:
        """Replace all trials by those of an earlier run.

        A RUNNING one was interrupted: it is resumed before anything else.
        """


class BasePolicy:
    """The part that all policies share: which trials run, which were interrupted, when a trial is complete.

    A policy overrides `judge` and, if it pauses trials, `promotion`, `late_promotion`, `last_resort` and `beaten`.
    """

    def __init__(self, context: PolicyContext, rungs: Iterable[int]) -> None:
        self.context = context
        self.trials: dict[int, TrialView] = {}
        self._rungs = tuple(sorted(set(rungs)))
        self._interrupted: dict[int, int] = {}
        # Kept up to date: a loop over ten thousand trials for each free worker would take milliseconds.
        self._running: set[int] = set()

    def rungs(self, trial: int | None = None) -> tuple[int, ...]:
        """Return the same rounds for all trials."""
        return self._rungs

    def started(self, trial: int, resumed: bool) -> None:
        view = self.trials.setdefault(trial, TrialView(trial))
        self._became(view, TrialState.RUNNING)
        self._interrupted.pop(trial, None)
        if resumed:
            self.promoted(view)

    def report(self, report: Report) -> Decision:
        """Take in a round and decide; at the full length the trial is complete."""
        view = self.trials.setdefault(report.trial, TrialView(report.trial))
        view.add(report)
        if report.round >= self.context.max_rounds:
            reason = Reason(Code.FULL_LENGTH, {"rounds": self.context.max_rounds})
            decision = Decision(Action.STOP, TrialState.COMPLETE, reason, report.round)
        else:
            decision = self.judge(view, report)
        self._became(view, decision.state)
        return decision

    def ended(self, trial: int, state: TrialState) -> None:
        view = self.trials.setdefault(trial, TrialView(trial))
        self._became(view, state)
        self._interrupted.pop(trial, None)
        if state is TrialState.FAILED:
            self.dropped(view)

    def next(self, *, may_start: bool = True) -> Next:
        """Return an interrupted trial, else a promotion, else a new trial."""
        for trial, round in sorted(self._interrupted.items()):
            return Next(NextKind.RESUME, Reason(Code.AFTER_INTERRUPTION, {"round": round}), trial)
        promotion = self.promotion()
        if promotion is not None:
            return promotion
        if may_start:
            return Next(NextKind.START, self.start_reason())
        late = self.late_promotion()
        if late is not None:
            return late
        if self._running:
            return Next(NextKind.WAIT, Reason(Code.NOTHING_YET))
        complete = any(view.state is TrialState.COMPLETE for view in self.trials.values())
        last = None if complete else self.last_resort()
        return last or Next(NextKind.FINISH, Reason(Code.NOTHING_LEFT))

    def restore(self, past: Iterable[TrialView]) -> None:
        self.trials.clear()
        self._interrupted.clear()
        self._running.clear()
        for one in sorted(past, key=lambda one: one.number):
            view = replace(one, values=dict(one.values), rows=dict(one.rows))
            self.trials[one.number] = view
            if one.state is TrialState.RUNNING:
                # No worker runs it now: as PAUSED it cannot make `next` wait for it.
                view.state = TrialState.PAUSED
                self._interrupted[one.number] = one.round
            self.restored(view)

    # What policies override -----------------------------------------------------------------------------

    def judge(self, view: TrialView, report: Report) -> Decision:
        """Decide about a report below the full length."""
        return Decision(Action.CONTINUE, TrialState.RUNNING, Reason(Code.NEVER_STOPPED))

    def promotion(self) -> Next | None:
        """Return the paused trial to promote now, if there is one."""
        return None

    def late_promotion(self) -> Next | None:
        """Return a paused trial to promote beyond the usual ones where no new trial may start any more."""
        return None

    def last_resort(self) -> Next | None:
        """Return the paused trial to resume where otherwise no trial at all would be complete."""
        return None

    def start_reason(self) -> Reason:
        """Return why a new trial starts now."""
        return Reason(Code.WORKER_FREE)

    def promoted(self, view: TrialView) -> None:
        """Called when a paused trial runs again."""

    def dropped(self, view: TrialView) -> None:
        """Called when a trial failed: it no longer takes part in comparisons."""

    def restored(self, view: TrialView) -> None:
        """Called for each trial of an earlier run."""

    def beaten(self, trial: int) -> Reason | None:
        """Return None: a policy without paused trials."""
        return None

    # ------------------------------------------------------------------------------------------------------

    def loss(self, value: float) -> float:
        """Return the value as a loss to minimise. NaN and both infinities become +inf, which is last."""
        if not math.isfinite(value):
            return math.inf
        return -value if self.context.mode == "max" else value

    def scored(self, view: TrialView, round: int) -> int:
        """Return the number of validation rows that the trial's value of this round counts for; 0 if unknown."""
        known = self.context.significance
        return 0 if known is None else known.scored(view.rows.get(round, 0))

    def at_chance(self, view: TrialView, round: int) -> bool:
        """Return whether the trial's value is finite and no better than the trivial answer by more than chance."""
        known, value = self.context.significance, view.values.get(round, math.nan)
        return known is not None and math.isfinite(value) and not known.moved(value, view.rows.get(round, 0))

    def noise(self, view: TrialView, round: int, rows: int | None = None) -> float:
        """Return by how much the trial's value must be worse than another one to count as worse: its standard error.

        `rows` are those of the other value: what was scored on fewer rows decides.
        """
        known = self.context.significance
        if known is None:
            return 0.0
        own = self.scored(view, round)
        return known.noise(view.values[round], own if rows is None else min(own, rows))

    def not_finite(self, value: float) -> Reason:
        """Return the reason of a trial whose value is NaN or infinite."""
        return Reason(Code.VALUE_NOT_FINITE, {"value": str(value)})

    def not_moved(self, code: Code, value: float, **data: Value) -> Reason:
        """Return the reason of a trial that is at chance, with its value and the trivial answer's."""
        assert self.context.significance is not None
        return Reason(code, {"score": value, "trivial": self.context.significance.trivial, **data})

    def _became(self, view: TrialView, state: TrialState) -> None:
        view.state = state
        if state is TrialState.RUNNING:
            self._running.add(view.number)
        else:
            self._running.discard(view.number)
