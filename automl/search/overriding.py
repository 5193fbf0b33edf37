"""Where the search itself has the last word: the objective's end, the deadline, a stop, and values that are none."""

from __future__ import annotations

import math

from automl.records import Action, Decision, Report, TrialState
from automl.search.objectives import Step

TIME_IS_UP = "time is up"
ENDED_BY_ITSELF = "the objective ended by itself"
LOST = "its process was lost: it is tried once more"


def overridden(
    decision: Decision, report: Report, step: Step, *, metric: str, stop: str, over: str
) -> Decision:
    """The policy's decision, unless something else says otherwise; then it has no rung.

    `stop` is why the search was asked to stop, `over` why it is over; both empty while it goes on.
    """
    found = decision
    if step.interrupted:
        found = Decision(Action.STOP, TrialState.PRUNED, TIME_IS_UP)
    elif step.done and decision.state is not TrialState.COMPLETE:
        found = Decision(Action.STOP, TrialState.COMPLETE, step.reason or ENDED_BY_ITSELF)
    elif decision.action is Action.CONTINUE and stop:
        found = Decision(Action.PAUSE, TrialState.PAUSED, stop)
    elif decision.action is Action.CONTINUE and over:
        found = Decision(Action.STOP, TrialState.PRUNED, over)
    if found.state is TrialState.COMPLETE and not math.isfinite(report.value):
        found = Decision(Action.STOP, TrialState.FAILED, no_value(metric, report.value, report.epoch))
    return found


def no_value(metric: str, value: float, epoch: int) -> str:
    """Why a trial that reached its end failed."""
    return f"{metric} was {value} at the last epoch, {epoch}"
