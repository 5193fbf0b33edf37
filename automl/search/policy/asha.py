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
from automl.search.policy.rounds_at_chance import RoundsAtChance
from automl.search.policy.rungs import FACTOR, Bracket, Rung, Standing, rung_rounds
from automl.search.reasons import Code, Reason


class Asha(BasePolicy):
    """Pauses a trial at a rung if a third of the trials there are better, and promotes it once they are fewer.

    A free worker resumes, from the highest rung down, the best paused trial that belongs to the best third (rounded
    down) of its rung, and starts a new trial if there is none. Only trials that are better by more than the noise of a
    value count, so that ties belong to the third together. NaN ranks last and is never promoted. A failed trial leaves
    its rungs; one that was stopped for good keeps its place.

    A trial at chance is not compared: it goes on. Once such trials have taken a fifth of all rounds (`RoundsAtChance`),
    they wait, until the share allows more or no new trial may start. Then trials go on, too, that no other one on
    their rung beats, so that none is cut without having been beaten.

    If no trial may start, runs, or can be promoted, and none is complete, the best paused trial of the highest rung is
    promoted all the same, so that a search never ends without a complete trial.

    Source: Li et al., "A System for Massively Parallel Hyperparameter Tuning" (MLSys 2020), algorithm 2. Without noise
    and ties it is that algorithm while new trials may start.
    """

    def __init__(
        self, context: PolicyContext, brackets: Sequence[Bracket], order: Sequence[int] = (0,)
    ) -> None:
        """Trial n belongs to `brackets[order[n % len(order)]]`."""
        super().__init__(context, (round for bracket in brackets for round in bracket.rounds))
        self.brackets = tuple(brackets)
        self._order = tuple(order)
        self._rounds_at_chance = RoundsAtChance()

    def rungs(self, trial: int | None = None) -> tuple[int, ...]:
        """Return the rungs of the trial's bracket; for a new trial, those of all brackets."""
        return self._rungs if trial is None else self.bracket_of(trial).rounds

    def bracket_of(self, trial: int) -> Bracket:
        """Return the bracket in which the trial is compared, which follows from its number."""
        return self.brackets[self._order[trial % len(self._order)]]

    def report(self, report: Report) -> Decision:
        self._count(report.trial, report.round, report.value)
        return super().report(report)

    def judge(self, view: TrialView, report: Report) -> Decision:
        """Compare at rungs: the best third and trials at chance continue, the others pause."""
        bracket = self.bracket_of(view.number)
        rung = bracket.rungs.get(report.round)
        if rung is None:
            return Decision(Action.CONTINUE, TrialState.RUNNING, Reason(Code.BETWEEN_RUNGS))
        rung.record(view.number, self.loss(report.value))
        standing = rung.standing(view.number, self.noise(report.value))
        if rung.is_promoted(view.number):
            reason = standing.reason(Code.PROMOTED_BEFORE)
            return Decision(Action.CONTINUE, TrialState.RUNNING, reason, rung.round)
        if self.at_chance(report.value):
            return self._judge_at_chance(rung, report)
        if bracket.earns_promotion(standing) and math.isfinite(report.value):
            rung.promote(view.number)
            reason = standing.reason(Code.PROMOTED_AT_ONCE)
            return Decision(Action.CONTINUE, TrialState.RUNNING, reason, rung.round)
        return Decision(Action.PAUSE, TrialState.PAUSED, standing.reason(Code.PAUSED_AT_RUNG), rung.round)

    def promotion(self) -> Next | None:
        """Return the best promotable trial of the highest rung that has one."""
        usual = self._promotable(Code.PROMOTED)
        if usual is None and self._rounds_at_chance.allow_more():
            return self._waiting()
        return usual

    def late_promotion(self) -> Next | None:
        """Return the best trial of the highest rung that no other one beats, or else one that waits at chance."""
        return self._promotable(Code.UNBEATEN, fewest=1) or self._waiting()

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
            return Reason(Code.VALUE_NOT_FINITE, {"value": str(value)})
        standing = self._standing(rung, trial)
        if self.at_chance(value) or bracket.earns_promotion(standing, fewest=1):
            return None
        return standing.reason(Code.BEATEN, better=standing.rank - 1, best=rung.top(1)[0])

    def promoted(self, view: TrialView) -> None:
        """Mark the promotion on the rung where the trial had paused."""
        rung = self.bracket_of(view.number).rungs.get(view.round)
        if rung is not None:
            rung.promote(view.number)

    def dropped(self, view: TrialView) -> None:
        """Remove a failed trial from its rungs."""
        self._rounds_at_chance.drop(view.number)
        for rung in self.bracket_of(view.number).rungs.values():
            rung.drop(view.number)

    def restore(self, past: Iterable[TrialView]) -> None:
        self.brackets = tuple(Bracket(bracket.rounds, bracket.factor) for bracket in self.brackets)
        self._rounds_at_chance = RoundsAtChance()
        super().restore(past)

    def restored(self, view: TrialView) -> None:
        """Put an earlier trial on its rungs. It was promoted from those that it has trained beyond."""
        last = max(view.values, default=0)
        if view.values:
            self._count(view.number, last, view.values[last])
        if view.state is TrialState.FAILED:
            self._rounds_at_chance.drop(view.number)
            return
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

    def _count(self, trial: int, round: int, value: float) -> None:
        beyond = round - self.rungs(trial)[0]
        self._rounds_at_chance.report(trial, round, beyond=beyond, at_chance=self.at_chance(value))

    def _judge_at_chance(self, rung: Rung, report: Report) -> Decision:
        """Let a trial go on that is no better than the trivial answer, or wait while such trials take too much."""
        if self._rounds_at_chance.allow_more():
            rung.promote(report.trial)
            reason = self.not_moved(Code.NOT_MOVED, report.value)
            return Decision(Action.CONTINUE, TrialState.RUNNING, reason, rung.round)
        reason = self.not_moved(Code.WAITS_TO_MOVE, report.value, share=self._rounds_at_chance.share)
        return Decision(Action.PAUSE, TrialState.PAUSED, reason, rung.round)

    def _promotable(self, code: Code, *, fewest: int = 0) -> Next | None:
        """Return the best paused trial of the highest rung where a place is left for it."""
        for bracket, rung in self._top_down():
            for trial in rung.open():
                # The next ones are worse, and noise grows more slowly than the distance.
                if self.at_chance(self.trials[trial].values[rung.round]):
                    break
                standing = self._standing(rung, trial)
                if not bracket.earns_promotion(standing, fewest=fewest):
                    break
                if self._is_paused_at(rung, trial):
                    return Next(NextKind.RESUME, standing.reason(code), trial)
        return None

    def _waiting(self) -> Next | None:
        """Return the best trial at chance of the highest rung where one waits."""
        if self.context.significance is None:
            return None
        for _, rung in self._top_down():
            for trial in rung.open(self.loss(self.context.significance.threshold)):
                if self._is_paused_at(rung, trial):
                    return Next(NextKind.RESUME, Reason(Code.GOES_ON_TO_MOVE, {"round": rung.round}), trial)
        return None

    def _standing(self, rung: Rung, trial: int) -> Standing:
        return rung.standing(trial, self.noise(self.trials[trial].values[rung.round]))

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
