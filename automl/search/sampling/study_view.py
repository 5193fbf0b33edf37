"""What samplers see of a study: a copy in memory in which paused trials count as pruned."""

from __future__ import annotations

import copy
from collections.abc import Container
from typing import TYPE_CHECKING

import optuna
from optuna.storages import InMemoryStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from automl.log import quiet_optuna
from automl.records import Mode

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler


class SamplerView(InMemoryStorage):
    """An Optuna storage in memory where paused trials are shown as PRUNED, with the values that they have.

    In the study itself a paused trial is WAITING, so that no dashboard shows it as running. A sampler must
    not see that: it would take the trial for one that has no result, and `Study.ask` would start it again.
    Being a copy, the view also spares samplers the database: with it, a suggestion costs no query, where
    Optuna's own storage reads all unfinished trials anew for every one.
    """

    def __init__(self) -> None:
        super().__init__()
        # By trial: as it is shown while it is paused, during which nothing about it changes.
        self._paused: dict[int, FrozenTrial] = {}
        self._copied = 0  # trials that were there when this copy was made, none of which waits to be started

    def pause(self, trial_id: int) -> None:
        """From now on the trial is shown as PRUNED."""
        shown = copy.copy(self.get_trial(trial_id))
        shown.state = TrialState.PRUNED
        self._paused[trial_id] = shown

    def resume(self, trial_id: int) -> None:
        """From now on the trial is shown as it is."""
        self._paused.pop(trial_id, None)

    def snapshot(self) -> SamplerView:
        """A copy of this moment. Trials are shared: in memory, Optuna replaces a trial instead of changing it."""
        # Private to Optuna's InMemoryStorage: `_lock`, and `_studies` with its `trials` and `param_distribution`. Where
        # they are gone, `copy.deepcopy` does the same, in seconds instead of a millisecond for thousands of trials.
        with self._lock:
            twin = SamplerView()
            twin.__dict__.update({key: copy.copy(value) for key, value in self.__getstate__().items()})
            for key, info in self._studies.items():
                twin._studies[key] = copy.copy(info)
                twin._studies[key].trials = list(info.trials)
                twin._studies[key].param_distribution = dict(info.param_distribution)
                twin._copied = len(info.trials)
            return twin

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        """As in Optuna, after paused trials were made PRUNED."""
        trials = super().get_all_trials(study_id, deepcopy=False)
        if states == (TrialState.WAITING,):
            # Asked before each suggestion, in studies of ten thousand trials too.
            trials = trials[self._copied :]
        else:
            for shown in self._paused.values():
                trials[shown.number] = shown
        if states is not None:
            trials = [trial for trial in trials if trial.state in states]
        return copy.deepcopy(trials) if deepcopy else trials


def open_view(sampler: BaseSampler, mode: Mode, past: list[FrozenTrial]) -> tuple[SamplerView, optuna.Study]:
    """A view that holds the trials of a study, and a study over it to ask for suggestions."""
    view = SamplerView()
    direction = StudyDirection.MAXIMIZE if mode == "max" else StudyDirection.MINIMIZE
    with quiet_optuna():
        study = optuna.create_study(storage=view, sampler=sampler, direction=direction)
    study_id = view.get_study_id_from_name(study.study_name)
    for trial in past:
        template = copy.copy(trial)
        if not trial.state.is_finished():
            # RUNNING below the disguise: then it can be told a result, and Optuna never hands it out as
            # waiting.
            template.state = TrialState.RUNNING
        trial_id = view.create_new_trial(study_id, template_trial=template)
        if not trial.state.is_finished():
            view.pause(trial_id)
    return view, study
