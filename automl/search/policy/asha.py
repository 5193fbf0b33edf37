"""Asynchronous successive halving by promotion, with one ladder of rungs (asha) or several (hyperband)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

from automl.records import Report, TrialState
from automl.search.policy.base import (
    Action,
    Decision,
    Next,
    NextKind,
    PolicyContext,
    TrialBook,
    TrialView,
)
from automl.search.policy.rungs import FACTOR, Ladder, Rung, rung_rounds
from automl.search.reasons import Code, Reason


class Promotion(TrialBook):
    """A trial pauses at a rung unless it is among the best third there; it is promoted when it comes to be.

    A free worker takes, from the highest rung down, the best paused trial among the best third (rounded
    down) of its rung, and starts a new trial if there is none. Ties go to the earlier trial. NaN ranks last
    and is never promoted. A crashed trial leaves its rungs and its place goes to the next best; a trial that
    was stopped for good keeps its place. When no trial may start, none runs, nothing is promotable and no
    trial is complete, the best paused trial of the highest rung that has one is promoted all the same, so
    that a search never ends without a complete trial.

    Source: Li et al., "A System for Massively Parallel Hyperparameter Tuning" (MLSys 2020), algorithm 2.
    """

    def __init__(
        self, context: PolicyContext, ladders: Sequence[Ladder], order: Sequence[int] = (0,)
    ) -> None:
        """`order` is a round: the ladder of trial n is `ladders[order[n % len(order)]]`."""
        super().__init__(context, (round for ladder in ladders for round in ladder.rounds))
        self.ladders = tuple(ladders)
        self._order = tuple(order)

    def rungs(self, trial: int | None = None) -> tuple[int, ...]:
        """The rungs of the trial's ladder; of one that would start now, those of all ladders."""
        return self._rungs if trial is None else self.ladder_of(trial).rounds

    def ladder_of(self, trial: int) -> Ladder:
        """The ladder on which the trial is compared: it follows from its number."""
        return self.ladders[self._order[trial % len(self._order)]]

    def judge(self, view: TrialView, report: Report) -> Decision:
        """Compares at rungs: the best third goes on, the others pause."""
        ladder = self.ladder_of(view.number)
        rung = ladder.rungs.get(report.round)
        if rung is None:
            return Decision(Action.CONTINUE, TrialState.RUNNING, Reason(Code.BETWEEN_RUNGS))
        rung.record(view.number, self.loss(report.value))
        standing = rung.standing(view.number)
        if rung.is_promoted(view.number):
            reason = standing.reason(Code.PROMOTED_BEFORE)
            return Decision(Action.CONTINUE, TrialState.RUNNING, reason, rung.round)
        if ladder.earns_promotion(standing) and math.isfinite(report.value):
            rung.promote(view.number)
            reason = standing.reason(Code.PROMOTED_AT_ONCE)
            return Decision(Action.CONTINUE, TrialState.RUNNING, reason, rung.round)
        return Decision(Action.PAUSE, TrialState.PAUSED, standing.reason(Code.PAUSED_AT_RUNG), rung.round)

    def promotion(self) -> Next | None:
        """The best promotable trial of the highest rung that has one."""
        for ladder, rung in self._top_down():
            for trial in ladder.promotable(rung):
                if self._waits(rung, trial):
                    return Next(NextKind.RESUME, rung.standing(trial).reason(Code.PROMOTED), trial)
        return None

    def last_resort(self) -> Next | None:
        """The best paused trial of the highest rung, whatever its rank."""
        for _, rung in self._top_down():
            for trial in rung.top(len(rung)):
                if self._waits(rung, trial):
                    return Next(NextKind.RESUME, rung.standing(trial).reason(Code.LAST_RESORT), trial)
        return None

    def promoted(self, view: TrialView) -> None:
        """Marks the promotion on the rung where the trial had paused."""
        rung = self.ladder_of(view.number).rungs.get(view.round)
        if rung is not None:
            rung.promote(view.number)

    def dropped(self, view: TrialView) -> None:
        """A crashed trial leaves all its rungs."""
        for rung in self.ladder_of(view.number).rungs.values():
            rung.drop(view.number)

    def restore(self, past: Iterable[TrialView]) -> None:
        """Takes in the trials of an earlier run."""
        self.ladders = tuple(Ladder(ladder.rounds, ladder.factor) for ladder in self.ladders)
        super().restore(past)

    def restored(self, view: TrialView) -> None:
        """Puts an earlier trial on its rungs; it was promoted from those that it has been seen beyond."""
        if view.state is TrialState.FAILED:
            return
        last = max(view.values, default=0)
        for rung in self.ladder_of(view.number).rungs.values():
            if rung.round in view.values:
                rung.record(view.number, self.loss(view.values[rung.round]))
                if last > rung.round:
                    rung.promote(view.number)

    # ------------------------------------------------------------------------------------------------------

    def _top_down(self) -> Iterator[tuple[Ladder, Rung]]:
        """All rungs of all ladders, highest round first; equal rounds in the order of the ladders."""
        pairs = [(ladder, rung) for ladder in self.ladders for rung in ladder.top_down()]
        return iter(sorted(pairs, key=lambda pair: -pair[1].round))

    def _waits(self, rung: Rung, trial: int) -> bool:
        """Whether the trial is paused at this very rung."""
        view = self.trials[trial]
        return view.state is TrialState.PAUSED and view.round == rung.round and not rung.is_promoted(trial)


def asha(context: PolicyContext) -> Promotion:
    """Promotion-based asynchronous successive halving with one ladder of rungs."""
    return Promotion(context, [Ladder(rung_rounds(context.max_rounds))])


def hyperband(context: PolicyContext) -> Promotion:
    """Asynchronous Hyperband: brackets with later and later first rungs, filled in proportion to their size.

    Bracket s of S starts at rung s and gets ceil(S / (S - s) * 3**(S - 1 - s)) trials of every round, so that
    each spends about the same number of rounds. The bracket of a trial depends on its number alone, so that
    a resumed study agrees.

    Source: Li et al., "Hyperband" (JMLR 2018), algorithm 1; asynchronous as in Klein et al. (2020).
    """
    rounds = rung_rounds(context.max_rounds)
    count = len(rounds)
    sizes = [math.ceil(count / (count - s) * FACTOR ** (count - 1 - s)) for s in range(count)]
    return Promotion(context, [Ladder(rounds[s:]) for s in range(count)], interleaved(sizes))


def interleaved(sizes: Sequence[int]) -> list[int]:
    """A round in which index i occurs sizes[i] times, each spread as evenly as possible.

    >>> interleaved([4, 2])
    [0, 1, 0, 0, 1, 0]
    """
    marks = ((2 * k + 1) / (2 * size) for size in sizes for k in range(size))
    owners = (index for index, size in enumerate(sizes) for _ in range(size))
    return [index for _, index in sorted(zip(marks, owners, strict=True))]
