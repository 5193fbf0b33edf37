"""Replay of a recorded study: does a fresh policy make the same decisions?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from automl.records import VAL_ROWS, Report, TrialState
from automl.search.policy import Action, Decision, NextKind, Policy, Significance, TrialView
from automl.search.policy.significance import judged_again
from automl.search.reasons import Code, Reason, in_numbers
from automl.search.storage.event_log import SEARCH, Event

# Reasons for which the search resumes a trial whatever its policy says.
OWN_RESUMES = frozenset({Code.LOST, Code.FINISH_IN_TIME, Code.REFERENCE, Code.WAS_CUT})


@dataclass(frozen=True)
class Difference:
    """The first event, by its place in the log, at which the policy decides otherwise."""

    place: int
    event: Event
    expected: str

    def __str__(self) -> str:
        one = self.event
        what = f"{one.action} of trial {one.trial} after round {one.round} ({one.reason})"
        return f"event {self.place}: recorded was {what}, but the policy says: {self.expected}"


Make = Callable[[Significance | None], Policy]


def replay(events: Sequence[Event], make: Make) -> Difference | None:
    """Return the first difference between a study's log and a fresh policy's decisions on the same reports, or None.

    Reports come in their recorded order, so the answer does not depend on clocks and processes. Under Ray a promotion
    runs some time after it was chosen: it must be one that the policy gave since the trial's pause. Overrides are taken
    as recorded. `make` returns a fresh policy; it gets the significance that each search of the study logged, None for
    one that logged none.
    """
    playback = _Playback(make)
    for place, event in enumerate(events):
        expected = playback.take(event, events[place + 1 :])
        if expected:
            return Difference(place, event, expected)
    return None


class _Playback:
    """The trials as the log has them so far, and the policy that is asked about them."""

    def __init__(self, make: Make) -> None:
        self._make = make
        self._policy = make(None)
        self._trials: dict[int, TrialView] = {}
        self._interrupted: set[int] = set()
        # The reasons for which the policy would have resumed each trial since its last pause.
        self._answers: defaultdict[int, set[Reason]] = defaultdict(set)

    def take(self, event: Event, later: Sequence[Event]) -> str:
        """Play an event. Return what the policy would have done instead, "" if the same."""
        if event.action == SEARCH:
            self._restore(event.reason, later)
            expected = ""
        elif event.action == NextKind.START:
            expected = self._start(event)
        elif event.action == NextKind.RESUME:
            expected = self._resume(event)
        else:
            expected = self._decide(event)
        self._ask()
        return expected

    def _restore(self, began: Reason, later: Sequence[Event]) -> None:
        past = []
        reopened = next((note.data["trials"] for note in began.notes if note.code is Code.REOPENED), "")
        standing = in_numbers(str(reopened))
        for number, trial in self._trials.items():
            state, round = trial.state, trial.round
            if number in standing:
                state, round = TrialState.PAUSED, standing[number]
            elif trial.state is TrialState.RUNNING or number in self._interrupted:
                # Where it was resumed says where its checkpoint stood.
                resumed = (e.round for e in later if e.trial == number and e.action == NextKind.RESUME)
                state, round = TrialState.RUNNING, next(resumed, trial.round)
            past.append(replace(trial, state=state, round=round))
        judged = next((note.data for note in began.notes if note.code is Code.JUDGED_BY), None)
        self._policy = self._make(None if judged is None else judged_again(judged))
        self._policy.restore(past)

    def _start(self, event: Event) -> str:
        choice = self._policy.next()
        self._trials[event.trial] = TrialView(event.trial, first_rung=event.rung)
        self._policy.started(event.trial, resumed=False)
        first = min(self._policy.rungs(event.trial))
        if choice.kind is not NextKind.START:
            return f"{choice.kind} {choice.trial}: {choice.reason}"
        return "" if first == event.rung else f"first compared at round {first}"

    def _resume(self, event: Event) -> str:
        trial, answers = self._trials[event.trial], self._answers.pop(event.trial, set())
        expected = ""
        if event.reason not in answers and event.reason.code not in OWN_RESUMES:
            expected = f"not to resume it for that; its reasons were {sorted(map(str, answers))}"
        trial.state, trial.round = TrialState.RUNNING, event.round
        self._interrupted.discard(event.trial)
        self._policy.started(event.trial, resumed=True)
        return expected

    def _decide(self, event: Event) -> str:
        trial = self._trials[event.trial]
        decided = Decision(Action(event.action), TrialState(event.state), event.reason, event.rung)
        own = event.rung is None and decided.action is not Action.CONTINUE
        expected = ""
        if event.round > trial.round:
            report = Report(event.trial, event.round, event.value, event.seconds, {VAL_ROWS: event.rows})
            trial.add(report)
            found = self._policy.report(report)
            if found != decided and own:
                self._policy.ended(event.trial, decided.state)
            elif found != decided:
                expected = f"{found.action} because {found.reason}"
        elif decided.action is Action.STOP:
            self._policy.ended(event.trial, decided.state)
        trial.state = decided.state
        self._interrupted.discard(event.trial)
        if own and decided.state is TrialState.PAUSED:
            self._interrupted.add(event.trial)
        return expected

    def _ask(self) -> None:
        for may_start in (True, False):
            choice = self._policy.next(may_start=may_start)
            if choice.kind is NextKind.RESUME and choice.trial in self._trials:
                self._answers[choice.trial].add(choice.reason)
