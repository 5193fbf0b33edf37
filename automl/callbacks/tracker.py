"""What all experiment trackers share: a run for each trial, and one for the study itself."""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING

from automl.callbacks.base import Callback, StudyInfo, TrialEnd, TrialInfo
from automl.callbacks.numbers import config_values, report_numbers, result_numbers
from automl.errors import ConfigError
from automl.records import Report, TrialState

if TYPE_CHECKING:
    from automl.result import FitResult
    from automl.search.tune import TuneResult


class Run(ABC):
    """An open run in a tracker, of a trial or of the study itself."""

    @abstractmethod
    def log(self, numbers: Mapping[str, float], step: int) -> None:
        """Log the numbers of a round."""

    @abstractmethod
    def log_scores(self, scores: Mapping[str, float]) -> None:
        """Log the scores of the study."""

    @abstractmethod
    def log_end(self, end: TrialEnd) -> None:
        """Log how the trial ended."""

    @abstractmethod
    def close(self, state: TrialState) -> None:
        """Close the run, which ended in this state."""


class Tracker(Callback, ABC):
    """Writes a study to a tracker, which says how its runs are opened. A resumed study goes on in the same runs."""

    _study: StudyInfo
    _study_run: Run
    _trial_runs: dict[int, Run]

    @abstractmethod
    def open_study(self, study: StudyInfo) -> Run:
        """Return the run of the study itself, with its options."""

    @abstractmethod
    def open_trial(self, study: StudyInfo, trial: TrialInfo, values: Mapping[str, str | float]) -> Run:
        """Return the run of a trial, with its kind and configuration as `values`."""

    def on_study_start(self, study: StudyInfo) -> None:
        """Open the run of the study itself, which gets the scores at the end."""
        self._study, self._trial_runs = study, {}
        self._study_run = self.open_study(study)

    def on_trial_start(self, trial: TrialInfo) -> None:
        """Open the trial's run, with its configuration."""
        self._run_of(trial)

    def on_report(self, trial: TrialInfo, report: Report) -> None:
        """Log the round's numbers."""
        self._run_of(trial).log(report_numbers(self._study, report), report.round)

    def on_trial_end(self, trial: TrialInfo, end: TrialEnd) -> None:
        """Log how the trial ended, and close its run."""
        run = self._run_of(trial)
        run.log_end(end)
        run.close(end.state)
        del self._trial_runs[trial.number]

    def on_study_end(self, result: FitResult | TuneResult | None) -> None:
        """Log the scores of the result, and close all runs."""
        if result is not None:
            self._study_run.log_scores(result_numbers(result))
        for run in self._trial_runs.values():
            run.close(TrialState.UNFINISHED)
        self._trial_runs.clear()
        self._study_run.close(TrialState.UNFINISHED if result is None else TrialState.COMPLETE)

    def _run_of(self, trial: TrialInfo) -> Run:
        """Return the trial's run, which is opened where it is not: a trial that goes on had it in an earlier run."""
        if trial.number not in self._trial_runs:
            values = {"kind": trial.kind, **config_values(trial.config)}
            self._trial_runs[trial.number] = self.open_trial(self._study, trial, values)
        return self._trial_runs[trial.number]


def require_tracker(title: str, package: str) -> None:
    """Raise ConfigError if the package of a tracker is not installed.

    A callback keeps no module in an attribute, since estimators copy their callbacks.
    """
    try:
        importlib.import_module(package)
    except ImportError as error:
        raise ConfigError(f"{title} is not installed: run `pip install 'automl[{package}]'`") from error
