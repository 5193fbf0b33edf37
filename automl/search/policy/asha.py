"""Asynchronous successive halving by promotion, with one bracket of rungs (asha) or several (hyperband)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

from automl.records import Report, TrialState
from automl.search.policy.base import (
    Action,
    BasePolicy,
    Decision,
    Next,
    NextKind,
    PolicyContext,
    TrialView,
)
from automl.search.policy.rungs import FACTOR, Bracket, Rung, rung_rounds
from automl.search.reasons import Code, Reason


class Asha(BasePolicy):
    """Pauses a trial at a rung unless it is among the best third there, and promotes it once it is.

    A free worker resumes, from the highest rung down, the best paused trial among the best third (rounded down) of its
    rung, and starts a new trial if there is none. Ties go to the earlier trial. NaN ranks last and is never promoted.
    A failed trial leaves its rungs; one that was stopped for good keeps its place.

    If no trial may start, runs, or can be promoted, and none is complete, the best paused trial of the highest rung is
    promoted all the same, so that a search never ends without a complete trial.

    Source: Li et al., "A System for Massively Parallel Hyperparameter Tuning" (MLSys 2020), algorithm 2.
    """

    def __init__(
        self, context: PolicyContext, brackets: Sequence[Bracket], order: Sequence[int] = (0,)
    ) -> None:
        """Trial n belongs to `brackets[order[n % len(order)]]`."""
        super().__init__(context, (round for bracket in brackets for round in bracket.rounds))
        self.brackets = tuple(brackets)
        self._order = tuple(order)

    def rungs(self, trial: int | None = None) -> tuple[int, ...]:
        """Return the rungs of the trial's bracket; for a new trial, those of all brackets."""
        return self._rungs if trial is None else self.bracket_of(trial).rounds

    def bracket_of(self, trial: int) -> Bracket:
        """Return the bracket in which the trial is compared, which follows from its number."""
        return self.brackets[self._order[trial % len(self._order)]]

    def judge(self, view: TrialView, report: Report) -> Decision:
        """Compare at rungs: the best third continues, the others pause."""
        bracket = self.bracket_of(view.number)
        rung = bracket.rungs.get(report.round)
        if rung is None:
            return Decision(Action.CONTINUE, TrialState.RUNNING, Reason(Code.BETWEEN_RUNGS))
        rung.record(view.number, self.loss(report.value))
        standing = rung.standing(view.number)
        if rung.is_promoted(view.number):
            reason = standing.reason(Code.PROMOTED_BEFORE)
            return Decision(Action.CONTINUE, TrialState.RUNNING, reason, rung.round)
        if bracket.earns_promotion(standing) and math.isfinite(report.value):
            rung.promote(view.number)
            reason = standing.reason(Code.PROMOTED_AT_ONCE)
            return Decision(Action.CONTINUE, TrialState.RUNNING, reason, rung.round)
        return Decision(Action.PAUSE, TrialState.PAUSED, standing.reason(Code.PAUSED_AT_RUNG), rung.round)

    def promotion(self) -> Next | None:
        """Return the best promotable trial of the highest rung that has one."""
        for bracket, rung in self._top_down():
            for trial in rung.open_among(len(rung) // bracket.factor):
                if self._is_paused_at(rung, trial):
                    return Next(NextKind.RESUME, rung.standing(trial).reason(Code.PROMOTED), trial)
        return None

    def last_resort(self) -> Next | None:
        """Return the best paused trial of the highest rung that has one, whatever its rank."""
        for _, rung in self._top_down():
            for trial in rung.top(len(rung)):
                if self._is_paused_at(rung, trial):
                    return Next(NextKind.RESUME, rung.standing(trial).reason(Code.LAST_RESORT), trial)
        return None

    def promoted(self, view: TrialView) -> None:
        """Mark the promotion on the rung where the trial had paused."""
        rung = self.bracket_of(view.number).rungs.get(view.round)
        if rung is not None:
            rung.promote(view.number)

    def dropped(self, view: TrialView) -> None:
        """Remove a failed trial from its rungs."""
        for rung in self.bracket_of(view.number).rungs.values():
            rung.drop(view.number)

    def restore(self, past: Iterable[TrialView]) -> None:
        self.brackets = tuple(Bracket(bracket.rounds, bracket.factor) for bracket in self.brackets)
        super().restore(past)

    def restored(self, view: TrialView) -> None:
        """Put an earlier trial on its rungs. It was promoted from those that it has trained beyond."""
        if view.state is TrialState.FAILED:
            return
        last = max(view.values, default=0)
        for rung in self.bracket_of(view.number).rungs.values():
            if rung.round in view.values:
                rung.record(view.number, self.loss(view.values[rung.round]))
                if last > rung.round:
                    rung.promote(view.number)

    # ------------------------------------------------------------------------------------------------------

    def _top_down(self) -> Iterator[tuple[Bracket, Rung]]:
        """Return all rungs of all brackets, highest round first; equal rounds in the order of the brackets."""
        pairs = [(bracket, rung) for bracket in self.brackets for rung in bracket.rungs.values()]
        return iter(sorted(pairs, key=lambda pair: -pair[1].round))

    def _is_paused_at(self, rung: Rung, trial: int) -> bool:
        view = self.trials[trial]
        return view.state is TrialState.PAUSED and view.round == rung.round and not rung.is_promoted(trial)


def asha(context: PolicyContext) -> Asha:
    """Return asynchronous successive halving with one bracket."""
    return Asha(context, [Bracket(rung_rounds(context.max_rounds))])


def hyperband(context: PolicyContext) -> Asha:
    """Return asynchronous Hyperband: brackets with later and later first rungs, filled in proportion to their size.

    Bracket s of S begins at rung s and gets ceil(S / (S - s) * 3**(S - 1 - s)) trials of each cycle, so that all
    brackets spend about the same number of rounds. The bracket of a trial depends on its number alone, so that a
    resumed study agrees.

    Source: Li et al., "Hyperband" (JMLR 2018), algorithm 1; asynchronous as in Klein et al. (2020).
    """
    rounds = rung_rounds(context.max_rounds)
    count = len(rounds)
    sizes = [math.ceil(count / (count - s) * FACTOR ** (count - 1 - s)) for s in range(count)]
    return Asha(context, [Bracket(rounds[s:]) for s in range(count)], interleaved(sizes))


def interleaved(sizes: Sequence[int]) -> list[int]:
    """Return a cycle in which index i occurs sizes[i] times, spread as evenly as possible.

    >>> interleaved([4, 2])
    [0, 1, 0, 0, 1, 0]
    """
    marks = ((2 * k + 1) / (2 * size) for size in sizes for k in range(size))
    owners = (index for index, size in enumerate(sizes) for _ in range(size))
    return [index for _, index in sorted(zip(marks, owners, strict=True))]
