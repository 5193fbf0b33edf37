"""The study as samplers see it: a copy in memory in which paused trials count as pruned."""

from __future__ import annotations

import copy
from collections.abc import Collection, Container
from typing import TYPE_CHECKING

import optuna
from optuna.storages import InMemoryStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from automl.log import quiet_optuna
from automl.records import Mode

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler


class SamplerView(InMemoryStorage):
    """An Optuna storage in memory that shows paused trials as PRUNED, with their values.

    In the study itself a paused trial is WAITING, so that no dashboard shows it as running. A sampler would take such a
    trial for one without a result, and `Study.ask` would start it again. The copy also saves queries: Optuna's own
    storage reads all unfinished trials for every suggestion.
    """

    def __init__(self) -> None:
        super().__init__()
        # Paused trials as they are shown, by id. Nothing about them changes.
        self._paused: dict[int, FrozenTrial] = {}
        self._hidden = set[int]()  # numbers of trials that are no trainings
        self._copied = 0  # trials that were there when this copy was made, none of which waits to be started

    def pause(self, trial_id: int) -> None:
        """Show the trial as PRUNED from now on."""
        shown = copy.copy(self.get_trial(trial_id))
        shown.state = TrialState.PRUNED
        self._paused[trial_id] = shown

    def resume(self, trial_id: int) -> None:
        """Show the trial as it is from now on."""
        self._paused.pop(trial_id, None)

    def reserve(self, study_id: int) -> int:
        """Take the next number for a trial that samplers are not shown, and return it."""
        trial_id = self.create_new_trial(study_id, template_trial=create_trial(state=TrialState.FAIL))
        number = self.get_trial_number_from_id(trial_id)
        self._hidden.add(number)
        return number

    def snapshot(self) -> SamplerView:
        """Return a copy. It shares the trials: in memory, Optuna replaces a trial that changes."""
        # Private to Optuna's InMemoryStorage: `_lock`, and `_studies` with `trials` and `param_distribution`. Without
        # them, `copy.deepcopy` does the same, in seconds instead of a millisecond for thousands of trials.
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
        """Return the trials as Optuna does, with paused ones as PRUNED and without those that are hidden."""
        trials = super().get_all_trials(study_id, deepcopy=False)
        if states == (TrialState.WAITING,):
            # Asked before each suggestion, also in studies of ten thousand trials.
            trials = trials[self._copied :]
        else:
            for shown in self._paused.values():
                trials[shown.number] = shown
            if self._hidden:
                trials = [trial for trial in trials if trial.number not in self._hidden]
        if states is not None:
            trials = [trial for trial in trials if trial.state in states]
        return copy.deepcopy(trials) if deepcopy else trials


def open_view(
    sampler: BaseSampler,
    mode: Mode,
    past: list[FrozenTrial],
    unfinished: Collection[int] = (),
    hidden: Collection[int] = (),
) -> tuple[SamplerView, optuna.Study]:
    """Return a view with the trials of a study, and a study over it that can be asked for suggestions.

    `unfinished` are the numbers of PRUNED trials that may go on, `hidden` those of trials that are not shown to it.
    """
    view = SamplerView()
    direction = StudyDirection.MAXIMIZE if mode == "max" else StudyDirection.MINIMIZE
    with quiet_optuna():
        study = optuna.create_study(storage=view, sampler=sampler, direction=direction)
    study_id = view.get_study_id_from_name(study.study_name)
    for trial in past:
        if trial.number in hidden:
            view.reserve(study_id)
            continue
        template = copy.copy(trial)
        may_go_on = not trial.state.is_finished() or trial.number in unfinished
        if may_go_on:
            # RUNNING in the view, so that it can be told a result and Optuna never hands it out as waiting.
            template.state = TrialState.RUNNING
            template.values, template.datetime_complete = None, None
        trial_id = view.create_new_trial(study_id, template_trial=template)
        if may_go_on:
            view.pause(trial_id)
    return view, study
