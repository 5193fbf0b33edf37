"""Replaying a recorded study through a fresh policy: does it decide as was decided then?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from automl.records import Report, TrialState
from automl.search.event_log import SEARCH, Event
from automl.search.policy import Action, Decision, History, NextKind, Policy
from automl.search.reasons import Code, Reason

# What the search itself resumes, whatever its policy says.
OWN_RESUMES = frozenset({Code.LOST, Code.LAST_CALL, Code.YARDSTICK})


@dataclass(frozen=True)
class Difference:
    """The first event, by its place in the log, that the policy would not have led to."""

    place: int
    event: Event
    expected: str

    def __str__(self) -> str:
        one = self.event
        what = f"{one.action} of trial {one.trial} after epoch {one.epoch} ({one.reason})"
        return f"event {self.place}: recorded was {what}, but the policy says: {self.expected}"


def replay(events: Sequence[Event], make: Callable[[], Policy]) -> Difference | None:
    """The first difference between a study's log and what a fresh policy decides on the same reports, or None.

    Reports come in their recorded order, so the answer does not depend on clocks and processes. A promotion under Ray
    runs some time after it was chosen: it has to be one that the policy gave between the trial's pause and then. What
    the search decided by itself (deadlines, crashes, requested stops) is taken as it was.
    """
    playback = _Playback(make)
    for place, event in enumerate(events):
        expected = playback.take(event, events[place + 1 :])
        if expected:
            return Difference(place, event, expected)
    return None


@dataclass
class _Played:
    """A trial as the log has told so far; `answers` are the reasons for which the policy would have resumed it."""

    state: TrialState
    epoch: int
    first_rung: int | None
    interrupted: bool = False
    reports: dict[int, Report] = field(default_factory=dict)
    answers: set[Reason] = field(default_factory=set)


class _Playback:
    def __init__(self, make: Callable[[], Policy]) -> None:
        self._make = make
        self._policy = make()
        self._trials: dict[int, _Played] = {}

    def take(self, event: Event, later: Sequence[Event]) -> str:
        """Lets an event happen; says what the policy would have done instead, if something else."""
        if event.action == SEARCH:
            self._restore(later)
            expected = ""
        elif event.action == NextKind.START:
            expected = self._start(event)
        elif event.action == NextKind.RESUME:
            expected = self._resume(event)
        else:
            expected = self._decide(event)
        self._ask()
        return expected

    def _restore(self, later: Sequence[Event]) -> None:
        history = []
        for number, trial in self._trials.items():
            state, epoch = trial.state, trial.epoch
            if trial.state is TrialState.RUNNING or trial.interrupted:
                # Where its checkpoint stood is known from where it went on.
                goes_on = (e.epoch for e in later if e.trial == number and e.action == NextKind.RESUME)
                state, epoch = TrialState.RUNNING, next(goes_on, trial.epoch)
            reports = tuple(trial.reports.values())
            history.append(History(number, state, epoch, reports, trial.first_rung))
        self._policy = self._make()
        self._policy.restore(history)

    def _start(self, event: Event) -> str:
        choice = self._policy.next()
        self._trials[event.trial] = _Played(TrialState.RUNNING, 0, event.rung)
        self._policy.started(event.trial, resumed=False)
        first = min(self._policy.rungs(event.trial))
        if choice.kind is not NextKind.START:
            return f"{choice.kind} {choice.trial}: {choice.reason}"
        return "" if first == event.rung else f"first compared at epoch {first}"

    def _resume(self, event: Event) -> str:
        trial = self._trials[event.trial]
        expected = ""
        if event.reason not in trial.answers and event.reason.code not in OWN_RESUMES:
            expected = f"never to resume it; it would have for {sorted(map(str, trial.answers))}"
        trial.state, trial.epoch, trial.interrupted = TrialState.RUNNING, event.epoch, False
        trial.answers.clear()
        self._policy.started(event.trial, resumed=True)
        return expected

    def _decide(self, event: Event) -> str:
        trial = self._trials[event.trial]
        decided = Decision(Action(event.action), TrialState(event.state), event.reason, event.rung)
        own = event.rung is None and decided.action is not Action.CONTINUE
        expected = ""
        if event.epoch > trial.epoch:
            report = Report(event.trial, event.epoch, event.value, event.seconds)
            trial.epoch, trial.reports[event.epoch] = event.epoch, report
            found = self._policy.report(report)
            if found != decided and own:
                self._policy.ended(event.trial, decided.state)
            elif found != decided:
                expected = f"{found.action} because {found.reason}"
        elif decided.action is Action.STOP:
            self._policy.ended(event.trial, decided.state)
        trial.state, trial.interrupted = decided.state, own and decided.state is TrialState.PAUSED
        return expected

    def _ask(self) -> None:
        for may_start in (True, False):
            choice = self._policy.next(may_start=may_start)
            if choice.kind is NextKind.RESUME and choice.trial in self._trials:
                self._trials[choice.trial].answers.add(choice.reason)
