"""Where the search itself has the last word: the objective's end, the deadline, a stop, and values that are none."""

from __future__ import annotations

import math

from automl.records import Report, TrialState
from automl.search.objective import Step
from automl.search.policy import Action, Decision
from automl.search.reasons import Code, Reason


def overridden(
    decision: Decision, report: Report, step: Step, *, metric: str, stop: Reason | None, over: Reason | None
) -> Decision:
    """The policy's decision, unless something else says otherwise; then it has no rung.

    `stop` is why the search was asked to stop, `over` why it is over; both None while it goes on.
    """
    found = decision
    if step.interrupted:
        found = Decision(Action.STOP, TrialState.PRUNED, Reason(Code.TIME_IS_UP))
    elif step.done and decision.state is not TrialState.COMPLETE:
        said = (
            Reason(Code.OBJECTIVE_SAID, {"text": step.reason})
            if step.reason
            else Reason(Code.ENDED_BY_ITSELF)
        )
        found = Decision(Action.STOP, TrialState.COMPLETE, said)
    elif decision.action is Action.CONTINUE and stop:
        found = Decision(Action.PAUSE, TrialState.PAUSED, stop)
    elif decision.action is Action.CONTINUE and over:
        found = Decision(Action.STOP, TrialState.PRUNED, over)
    if found.state is TrialState.COMPLETE and not math.isfinite(report.value):
        found = Decision(Action.STOP, TrialState.FAILED, no_value(metric, report.value, report.round))
    return found


def no_value(metric: str, value: float, round: int) -> Reason:
    """Why a trial that reached its end failed."""
    return Reason(Code.NO_VALUE, {"metric": metric, "value": str(value), "round": round})
