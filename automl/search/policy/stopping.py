"""Policies that never pause: a trial goes on or is stopped for good."""

from __future__ import annotations

import math
from statistics import median

from automl.records import Report, TrialState
from automl.search.policy.base import Action, Decision, PolicyContext, TrialBook, TrialView
from automl.search.policy.rungs import FACTOR, Ladder, rung_rounds
from automl.search.reasons import Code, Reason

MEDIAN_STARTUP_TRIALS = 5


class StopAsha(TrialBook):
    """Stopping variant of asynchronous successive halving: the best third so far (rounded up) goes on.

    The first trial at a rung always goes on unless its value is NaN, so some early trials run longer than
    they deserve; in exchange nothing has to be saved and loaded. Rounding up keeps it from stopping all.

    Source: Li et al. (MLSys 2020), section 3.3, in the form that Ray Tune calls AsyncHyperBand.
    """

    def __init__(self, context: PolicyContext) -> None:
        rounds = rung_rounds(context.max_rounds)
        super().__init__(context, rounds)
        self._ladder = Ladder(rounds)

    def judge(self, view: TrialView, report: Report) -> Decision:
        """Compares at rungs."""
        rung = self._ladder.rungs.get(report.round)
        if rung is None:
            return Decision(Action.CONTINUE, TrialState.RUNNING, Reason(Code.BETWEEN_RUNGS))
        rung.record(view.number, self.loss(report.value))
        standing = rung.standing(view.number)
        if math.isfinite(report.value) and standing.rank <= math.ceil(standing.size / FACTOR):
            reason = standing.reason(Code.AMONG_BEST)
            return Decision(Action.CONTINUE, TrialState.RUNNING, reason, rung.round)
        return Decision(Action.STOP, TrialState.PRUNED, standing.reason(Code.NOT_AMONG_BEST), rung.round)

    def dropped(self, view: TrialView) -> None:
        """A crashed trial leaves all rungs."""
        for rung in self._ladder.rungs.values():
            rung.drop(view.number)

    def restored(self, view: TrialView) -> None:
        """Puts an earlier trial on the rungs it had reached."""
        if view.state is TrialState.FAILED:
            return
        for rung in self._ladder.rungs.values():
            rung.drop(view.number)
            if rung.round in view.values:
                rung.record(view.number, self.loss(view.values[rung.round]))


class MedianStop(TrialBook):
    """Stops a trial whose best value is worse than the median of the complete trials at the same round.

    Nothing is stopped before the first rung, nor before five trials are complete. A trial without a finite
    value at that point is stopped. Trials that ended by themselves before the round take no part in its
    median.

    Source: Golovin et al., "Google Vizier" (KDD 2017), with single values in place of running averages.
    """

    def __init__(self, context: PolicyContext) -> None:
        rounds = rung_rounds(context.max_rounds)
        super().__init__(context, rounds)
        self._first = rounds[0]

    def judge(self, view: TrialView, report: Report) -> Decision:
        """Compares at every round from the first rung on."""
        losses = self._complete_losses(report.round)
        if report.round < self._first or len(losses) < MEDIAN_STARTUP_TRIALS:
            return Decision(Action.CONTINUE, TrialState.RUNNING, Reason(Code.TOO_EARLY))
        middle = median(losses)
        best = min(self.loss(value) for value in view.values.values())
        compared = {"trials": len(losses), "round": report.round}
        if best > middle or math.isinf(best):
            reason = Reason(Code.WORSE_THAN_MEDIAN, compared)
            return Decision(Action.STOP, TrialState.PRUNED, reason, report.round)
        reason = Reason(Code.NOT_WORSE_THAN_MEDIAN, compared)
        return Decision(Action.CONTINUE, TrialState.RUNNING, reason, report.round)

    def _complete_losses(self, round: int) -> list[float]:
        complete = (view for view in self.trials.values() if view.state is TrialState.COMPLETE)
        return [self.loss(view.values[round]) for view in complete if round in view.values]


class FullLength(TrialBook):
    """Every trial runs to the full length. The rungs only say when it is saved against a crash."""

    def __init__(self, context: PolicyContext) -> None:
        super().__init__(context, rung_rounds(context.max_rounds))
