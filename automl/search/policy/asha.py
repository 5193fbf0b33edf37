"""Asynchronous successive halving by promotion, with one bracket of rungs (asha) or several (hyperband)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from enum import IntEnum

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
from automl.search.policy.rungs import FACTOR, Bracket, Rung, Standing, rung_rounds
from automl.search.reasons import Code, Reason

# The most that a search spends, while new trials may start, on trials that chance may have kept from the best thirds.
# Measured on recorded curves: docs/benchmarks/history.md.
SHARE_OF_DOUBT = 0.2


class Place(IntEnum):
    """Where a trial stands on its rung: in the best third, not in it by more than chance explains, or in between."""

    BEST_THIRD = 0
    IN_DOUBT = 1
    BEATEN = 2


class Asha(BasePolicy):
    """Pauses a trial at a rung unless it is among the best third there, and promotes it once it is.

    A free worker resumes, from the highest rung down, the best paused trial among the best third (rounded down) of its
    rung, and starts a new trial if there is none. Equal values belong to the third together. NaN ranks last and is
    never promoted. A failed trial leaves its rungs; one that was stopped for good keeps its place.

    Chance may have decided against a trial: fewer than a third of its rung are better by more than noise, or its value
    is no better than the trivial answer and says nothing. Such trials go on, too, but not at any price: while new
    trials may start, what goes beyond the best thirds takes at most a fifth of all rounds, and who would exceed that
    waits. When no new trial may start, all of them go on, and the best of each rung. So no trial is cut (`beaten`)
    unless others were better beyond noise.

    If no trial may start, runs, or can be promoted, and none is complete, the best paused trial of the highest rung is
    promoted all the same, so that a search never ends without a complete trial.

    Source: Li et al., "A System for Massively Parallel Hyperparameter Tuning" (MLSys 2020), algorithm 2. Without a
    significance it is that algorithm, but for ties.
    """

    def __init__(
        self, context: PolicyContext, brackets: Sequence[Bracket], order: Sequence[int] = (0,)
    ) -> None:
        """Trial n belongs to `brackets[order[n % len(order)]]`."""
        super().__init__(context, (round for bracket in brackets for round in bracket.rounds))
        self.brackets = tuple(brackets)
        self._order = tuple(order)
        self._reached: dict[int, int] = {}
        self._all_rounds = 0

    def rungs(self, trial: int | None = None) -> tuple[int, ...]:
        """Return the rungs of the trial's bracket; for a new trial, those of all brackets."""
        return self._rungs if trial is None else self.bracket_of(trial).rounds

    def bracket_of(self, trial: int) -> Bracket:
        """Return the bracket in which the trial is compared, which follows from its number."""
        return self.brackets[self._order[trial % len(self._order)]]

    def report(self, report: Report) -> Decision:
        self._count(report.trial, report.round)
        return super().report(report)

    def judge(self, view: TrialView, report: Report) -> Decision:
        """Compare at rungs: the best third, and those that chance may have kept from it, continue. Others pause."""
        bracket = self.bracket_of(view.number)
        rung = bracket.rungs.get(report.round)
        if rung is None:
            return Decision(Action.CONTINUE, TrialState.RUNNING, Reason(Code.BETWEEN_RUNGS))
        rung.record(view.number, self.loss(report.value), self.scored(view, rung.round))
        standing = self._standing(rung, view.number)
        if rung.is_promoted(view.number):
            reason = standing.reason(Code.PROMOTED_BEFORE)
            return Decision(Action.CONTINUE, TrialState.RUNNING, reason, rung.round)
        place = self._place(bracket, rung, view.number)
        on = place is Place.BEST_THIRD or (place is Place.IN_DOUBT and self._affords(bracket, rung))
        if on:
            rung.promote(view.number)
        if self.at_chance(view, rung.round):
            reason = self.not_moved(Code.NOT_MOVED if on else Code.WAITS_TO_MOVE, report.value)
        else:
            reason = standing.reason(Code.PROMOTED_AT_ONCE if on else Code.PAUSED_AT_RUNG)
        if on:
            return Decision(Action.CONTINUE, TrialState.RUNNING, reason, rung.round)
        return Decision(Action.PAUSE, TrialState.PAUSED, reason, rung.round)

    def promotion(self) -> Next | None:
        """Return the best trial of the highest rung that belongs to its best third, or else that may belong to it."""
        sure = self._resumed(Place.BEST_THIRD, Code.PROMOTED)
        if sure is not None or self.context.significance is None:
            return sure
        return self._resumed(Place.IN_DOUBT, Code.PROMOTED)

    def late_promotion(self) -> Next | None:
        """Return the best trial of the highest rung that is not beaten there, whatever it costs."""
        if self.context.significance is None:
            return None
        return self._resumed(Place.IN_DOUBT, Code.UNBEATEN, fewest=1)

    def last_resort(self) -> Next | None:
        """Return the best paused trial of the highest rung that has one, whatever its rank."""
        for _, rung in self._top_down():
            for trial in rung.top(len(rung)):
                if self._is_paused_at(rung, trial):
                    reason = self._standing(rung, trial).reason(Code.LAST_RESORT)
                    return Next(NextKind.RESUME, reason, trial)
        return None

    def beaten(self, trial: int) -> Reason | None:
        """Return the place of a trial that paused at a rung where enough others were better, or that its value was NaN.

        None for a trial at chance, for one that no other beats, and for one that did not pause at a rung.
        """
        view = self.trials[trial]
        bracket = self.bracket_of(trial)
        rung = bracket.rungs.get(view.round)
        if rung is None or view.round not in view.values or rung.is_promoted(trial):
            return None
        value = view.values[view.round]
        if not math.isfinite(value):
            return self.not_finite(value)
        if self._place(bracket, rung, trial, fewest=1) is not Place.BEATEN:
            return None
        standing = self._standing(rung, trial)
        # The best of those that count as better: a better value may come from too few rows.
        best = next(one for one in rung.top(len(rung)) if self._beats(rung, one, trial))
        return standing.reason(Code.BEATEN, better=standing.rank - 1, best=best)

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
        self._reached.clear()
        self._all_rounds = 0
        super().restore(past)

    def restored(self, view: TrialView) -> None:
        """Put an earlier trial on its rungs. It was promoted from those that it has trained beyond."""
        last = max(view.values, default=0)
        self._count(view.number, last)
        if view.state is TrialState.FAILED:
            return
        for rung in self.bracket_of(view.number).rungs.values():
            if rung.round in view.values:
                rung.record(view.number, self.loss(view.values[rung.round]), self.scored(view, rung.round))
                if last > rung.round:
                    rung.promote(view.number)

    # ------------------------------------------------------------------------------------------------------

    def _top_down(self) -> Iterator[tuple[Bracket, Rung]]:
        """Return all rungs of all brackets, highest round first; equal rounds in the order of the brackets."""
        pairs = [(bracket, rung) for bracket in self.brackets for rung in bracket.rungs.values()]
        return iter(sorted(pairs, key=lambda pair: -pair[1].round))

    def _count(self, trial: int, round: int) -> None:
        self._all_rounds += max(0, round - self._reached.get(trial, 0))
        self._reached[trial] = max(round, self._reached.get(trial, 0))

    def _place(self, bracket: Bracket, rung: Rung, trial: int, *, fewest: int = 0) -> Place:
        """Return where a trial stands. At least the best `fewest` trials belong to the best third. NaN is beaten."""
        value = self.trials[trial].values[rung.round]
        if not math.isfinite(value):
            return Place.BEATEN
        if self.at_chance(self.trials[trial], rung.round):
            return Place.IN_DOUBT
        if bracket.earns_promotion(rung.standing(trial), fewest=fewest):
            return Place.BEST_THIRD
        doubt = bracket.earns_promotion(self._standing(rung, trial), fewest=fewest)
        return Place.IN_DOUBT if doubt else Place.BEATEN

    def _affords(self, bracket: Bracket, rung: Rung) -> bool:
        """Return whether one more trial may go on from the rung, beside its best third."""
        # Those of the best third that are still paused go on in any case.
        more = 1 + sum(1 for _ in self._candidates(bracket, rung, Place.BEST_THIRD, 0))
        spent = sum(other.surplus(rung, more) for other in self.brackets)
        return spent <= SHARE_OF_DOUBT * (self._all_rounds + bracket.stretch(rung))

    def _resumed(self, worst: Place, code: Code, *, fewest: int = 0) -> Next | None:
        """Return the best paused trial of the highest rung, if it stands no worse than `worst`.

        With `fewest` the cost does not matter.
        """
        for bracket, rung in self._top_down():
            if worst is Place.IN_DOUBT and not fewest and not self._affords(bracket, rung):
                continue
            for trial in self._candidates(bracket, rung, worst, fewest):
                if not self._is_paused_at(rung, trial):
                    continue
                if self.at_chance(self.trials[trial], rung.round):
                    return Next(NextKind.RESUME, Reason(Code.GOES_ON_TO_MOVE, {"round": rung.round}), trial)
                return Next(NextKind.RESUME, self._standing(rung, trial).reason(code), trial)
        return None

    def _candidates(self, bracket: Bracket, rung: Rung, worst: Place, fewest: int) -> Iterator[int]:
        """Yield the trials that were not promoted and stand no worse than `worst`, the best first."""
        beyond, counts = set[int](), rung.row_counts
        for trial in rung.open():
            rows = self.scored(self.trials[trial], rung.round)
            if rows in beyond:
                continue
            if self._place(bracket, rung, trial, fewest=fewest) <= worst:
                yield trial
                continue
            # The next ones on so many rows are no better: a standard error grows more slowly than the distance.
            beyond.add(rows)
            if len(beyond) == len(counts):
                break
        known = self.context.significance
        if worst is Place.IN_DOUBT and known is not None and counts:
            best = min(self.loss(known.threshold(rows)) for rows in counts)
            yield from (trial for trial in rung.open(best) if self.at_chance(self.trials[trial], rung.round))

    def _beats(self, rung: Rung, one: int, other: int) -> bool:
        """Return whether `one` is better than `other` there by more than noise."""
        better, worse = (self.loss(self.trials[number].values[rung.round]) for number in (one, other))
        rows = self.scored(self.trials[one], rung.round)
        return better < worse - self.noise(self.trials[other], rung.round, rows)

    def _standing(self, rung: Rung, trial: int) -> Standing:
        view = self.trials[trial]
        return rung.standing(trial, lambda rows: self.noise(view, rung.round, rows))

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
