"""Policies that never pause: a trial continues or is stopped for good."""

from __future__ import annotations

import math
from statistics import median

from automl.records import Report, TrialState
from automl.search.policy.base import Action, BasePolicy, Decision, PolicyContext, TrialView
from automl.search.policy.rungs import FACTOR, Bracket, rung_rounds
from automl.search.reasons import Code, Reason

MEDIAN_STARTUP_TRIALS = 5


class StopAsha(BasePolicy):
    """The stopping variant of asynchronous successive halving: the best third so far (rounded up) continues.

    Trials within the noise of a value are a tie, and trials at chance are not compared.

    The first trial at a rung always continues unless its value is NaN, so some early trials run longer than they
    should. In exchange nothing has to be saved and loaded. Rounding up keeps the policy from stopping all trials.

    Source: Li et al. (MLSys 2020), section 3.3, in the form that Ray Tune calls AsyncHyperBand.
    """

    def __init__(self, context: PolicyContext) -> None:
        rounds = rung_rounds(context.max_rounds)
        super().__init__(context, rounds)
        self._bracket = Bracket(rounds)

    def judge(self, view: TrialView, report: Report) -> Decision:
        rung = self._bracket.rungs.get(report.round)
        if rung is None:
            return Decision(Action.CONTINUE, TrialState.RUNNING, Reason(Code.BETWEEN_RUNGS))
        rung.record(view.number, self.loss(report.value), self.scored(view, rung.round))
        if self.at_chance(view, rung.round):
            reason = self.not_moved(Code.NOT_MOVED, report.value)
            return Decision(Action.CONTINUE, TrialState.RUNNING, reason, rung.round)
        if not math.isfinite(report.value):
            reason = self.not_finite(report.value)
            return Decision(Action.STOP, TrialState.PRUNED, reason, rung.round)
        standing = rung.standing(view.number, lambda rows: self.noise(view, rung.round, rows))
        if standing.rank <= math.ceil(standing.size / FACTOR):
            reason = standing.reason(Code.AMONG_BEST)
            return Decision(Action.CONTINUE, TrialState.RUNNING, reason, rung.round)
        return Decision(Action.STOP, TrialState.PRUNED, standing.reason(Code.NOT_AMONG_BEST), rung.round)

    def dropped(self, view: TrialView) -> None:
        for rung in self._bracket.rungs.values():
            rung.drop(view.number)

    def restored(self, view: TrialView) -> None:
        if view.state is TrialState.FAILED:
            return
        for rung in self._bracket.rungs.values():
            rung.drop(view.number)
            if rung.round in view.values:
                rung.record(view.number, self.loss(view.values[rung.round]), self.scored(view, rung.round))


class MedianStop(BasePolicy):
    """Stops a trial whose best value is worse than the median of the complete trials at the same round, beyond noise.

    Nothing is stopped before the first rung, nor before five trials are complete, nor at chance. A trial without a
    finite value is stopped there. Trials that ended by themselves before a round do not count in its median.

    Source: Golovin et al., "Google Vizier" (KDD 2017), with single values in place of running averages.
    """

    def __init__(self, context: PolicyContext) -> None:
        rounds = rung_rounds(context.max_rounds)
        super().__init__(context, rounds)
        self._first = rounds[0]

    def judge(self, view: TrialView, report: Report) -> Decision:
        others = self._complete(report.round)
        losses = [self.loss(other.values[report.round]) for other in others]
        if report.round < self._first or len(losses) < MEDIAN_STARTUP_TRIALS:
            return Decision(Action.CONTINUE, TrialState.RUNNING, Reason(Code.TOO_EARLY))
        if self.at_chance(view, report.round):
            reason = self.not_moved(Code.NOT_MOVED, report.value)
            return Decision(Action.CONTINUE, TrialState.RUNNING, reason, report.round)
        middle = median(losses)
        best, at = min((self.loss(value), round) for round, value in view.values.items())
        compared = {"trials": len(losses), "round": report.round}
        if math.isinf(best):
            return Decision(Action.STOP, TrialState.PRUNED, self.not_finite(report.value), report.round)
        rows = min(self.scored(other, report.round) for other in others)
        if best - self.noise(view, at, rows) > middle:
            reason = Reason(Code.WORSE_THAN_MEDIAN, compared)
            return Decision(Action.STOP, TrialState.PRUNED, reason, report.round)
        reason = Reason(Code.NOT_WORSE_THAN_MEDIAN, compared)
        return Decision(Action.CONTINUE, TrialState.RUNNING, reason, report.round)

    def _complete(self, round: int) -> list[TrialView]:
        complete = (view for view in self.trials.values() if view.state is TrialState.COMPLETE)
        return [view for view in complete if round in view.values]


class FullLength(BasePolicy):
    """Runs every trial to the full length. The rungs only say when it is saved against a crash."""

    def __init__(self, context: PolicyContext) -> None:
        super().__init__(context, rung_rounds(context.max_rounds))
