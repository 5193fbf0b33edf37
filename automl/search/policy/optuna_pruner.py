"""Optuna's pruners as policies."""

from __future__ import annotations

import math
from copy import copy
from typing import TYPE_CHECKING, Any

import optuna
from optuna.storages import InMemoryStorage
from optuna.study import StudyDirection
from optuna.trial import TrialState as OptunaState

from automl.log import quiet_optuna
from automl.records import Report, TrialState
from automl.search.policy.base import Action, BasePolicy, Decision, PolicyContext, TrialView
from automl.search.policy.rungs import rung_rounds
from automl.search.reasons import Code, Reason, Value

if TYPE_CHECKING:
    from optuna.pruners import BasePruner

STATES = {
    TrialState.COMPLETE: OptunaState.COMPLETE,
    TrialState.PRUNED: OptunaState.PRUNED,
    TrialState.UNFINISHED: OptunaState.PRUNED,
    TrialState.FAILED: OptunaState.FAIL,
}


class _Storage(InMemoryStorage):
    """A storage in memory in which pruners leave no notes while it `takes_notes` is False."""

    takes_notes = True

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        if self.takes_notes:
            super().set_trial_system_attr(trial_id, key, value)


class PrunerPolicy(BasePolicy):
    """Stops a trial for good when an Optuna pruner says so after one of its rounds, unless chance may explain that.

    A trial at chance goes on, and so does one that the pruner would not stop if all its values were better by their
    standard errors.

    The pruner sees a study in memory with the reported values, so that its own notes stay out of the study that people
    look at. Trials with a value that is not finite are stopped in any case, because pruners differ in how they handle
    them. Optuna's own Hyperband assigns brackets by trial number, as it always does.
    """

    def __init__(self, context: PolicyContext, pruner: BasePruner) -> None:
        super().__init__(context, rung_rounds(context.max_rounds))
        self._pruner = pruner
        self._name = type(pruner).__name__
        self._open()

    def started(self, trial: int, resumed: bool) -> None:
        super().started(trial, resumed)
        self._id(trial)

    def report(self, report: Report) -> Decision:
        self._storage.set_trial_intermediate_value(self._id(report.trial), report.round, report.value)
        decision = super().report(report)
        self._settle(report.trial, decision.state)
        return decision

    def ended(self, trial: int, state: TrialState) -> None:
        super().ended(trial, state)
        self._settle(trial, state)

    def judge(self, view: TrialView, report: Report) -> Decision:
        if not math.isfinite(report.value):
            return Decision(Action.STOP, TrialState.PRUNED, self.not_finite(report.value), report.round)
        certain = self._stops_even_if_better(view)
        with quiet_optuna():
            stops = self._pruner.prune(self._study, self._storage.get_trial(self._id(view.number)))
        if stops and self.at_chance(view, report.round):
            # The pruner was asked all the same: some keep notes of their own.
            reason = self.not_moved(Code.NOT_MOVED, report.value)
            return Decision(Action.CONTINUE, TrialState.RUNNING, reason, report.round)
        if stops and not certain:
            data: dict[str, Value] = {"pruner": self._name, "noise": self.noise(view, report.round)}
            reason = Reason(Code.PRUNER_IN_DOUBT, data)
            return Decision(Action.CONTINUE, TrialState.RUNNING, reason, report.round)
        if stops:
            reason = Reason(Code.PRUNER_STOPPED, {"pruner": self._name})
            return Decision(Action.STOP, TrialState.PRUNED, reason, report.round)
        return Decision(
            Action.CONTINUE, TrialState.RUNNING, Reason(Code.PRUNER_WENT_ON, {"pruner": self._name})
        )

    def restored(self, view: TrialView) -> None:
        """Put an earlier trial into the pruner's study, round by round: some pruners keep notes of their own."""
        if view.number == min(self.trials):
            self._open()
        for round, value in sorted(view.values.items()):
            self._storage.set_trial_intermediate_value(self._id(view.number), round, value)
            if round < self.context.max_rounds and math.isfinite(value):
                with quiet_optuna():
                    self._pruner.prune(self._study, self._storage.get_trial(self._id(view.number)))
        self._settle(view.number, view.state)

    # ------------------------------------------------------------------------------------------------------

    def _stops_even_if_better(self, view: TrialView) -> bool:
        """Return whether the pruner would stop the trial with each of its values better by its standard error.

        True where nothing is known about the errors, and for searches that an earlier version recorded.
        """
        known = self.context.significance
        if known is None or known.version < 2:
            return True
        sign = 1.0 if self.context.mode == "max" else -1.0
        trial = copy(self._storage.get_trial(self._id(view.number)))
        trial.intermediate_values = {
            round: value + sign * self.noise(view, round) for round, value in view.values.items()
        }
        self._storage.takes_notes = False
        try:
            with quiet_optuna():
                return bool(self._pruner.prune(self._study, trial))
        finally:
            self._storage.takes_notes = True

    def _open(self) -> None:
        self._storage = _Storage()
        self._ids: dict[int, int] = {}
        direction = StudyDirection.MAXIMIZE if self.context.mode == "max" else StudyDirection.MINIMIZE
        with quiet_optuna():
            self._study = optuna.create_study(storage=self._storage, direction=direction, pruner=self._pruner)
        self._study_id = self._storage.get_study_id_from_name(self._study.study_name)

    def _id(self, trial: int) -> int:
        """Return the trial's id in the pruner's study. Numbers there are the same if trials come in their order."""
        if trial not in self._ids:
            self._ids[trial] = self._storage.create_new_trial(self._study_id)
        return self._ids[trial]

    def _settle(self, trial: int, state: TrialState) -> None:
        known = STATES.get(state)
        if known is None:
            return
        finite = [value for _, value in sorted(self.trials[trial].values.items()) if math.isfinite(value)]
        if known is OptunaState.COMPLETE and not finite:
            known = OptunaState.FAIL
        values = None if known is OptunaState.FAIL or not finite else finite[-1:]
        self._storage.set_trial_state_values(self._id(trial), known, values)
