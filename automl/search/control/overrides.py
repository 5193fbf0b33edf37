"""Overrides: where the search decides in the policy's place (deadline, stop, the objective's end, no value)."""

from __future__ import annotations

import math

from automl.records import Report, TrialState
from automl.search.objective import Step
from automl.search.policy import Action, Decision
from automl.search.reasons import Code, Reason

PRUNED_BY_OBJECTIVE = Decision(Action.STOP, TrialState.PRUNED, Reason(Code.OBJECTIVE_PRUNED))


def overridden(
    decision: Decision, report: Report, step: Step, *, metric: str, stop: Reason | None, end: Reason | None
) -> Decision:
    """Return the policy's decision, or an override, which has no rung.

    `stop` is why the search was asked to stop, `end` why it has to end. Both are None while it goes on.
    """
    found = decision
    if step.interrupted:
        found = Decision(Action.STOP, TrialState.UNFINISHED, Reason(Code.TIME_IS_UP))
    elif step.done and decision.state is not TrialState.COMPLETE:
        said = Reason(Code.OBJECTIVE_SAID, {"text": step.reason})
        why = said if step.reason else Reason(Code.ENDED_BY_ITSELF)
        found = Decision(Action.STOP, TrialState.COMPLETE, why)
    elif decision.action is Action.CONTINUE and stop:
        found = Decision(Action.PAUSE, TrialState.PAUSED, stop)
    elif decision.action is Action.CONTINUE and end:
        found = Decision(Action.STOP, TrialState.UNFINISHED, end)
    if found.state is TrialState.COMPLETE and not math.isfinite(report.value):
        found = Decision(Action.STOP, TrialState.FAILED, no_value(metric, report.value, report.round))
    return found


def no_value(metric: str, value: float, round: int) -> Reason:
    """Return why a trial that reached its end counts as failed."""
    return Reason(Code.NO_VALUE, {"metric": metric, "value": str(value), "round": round})
