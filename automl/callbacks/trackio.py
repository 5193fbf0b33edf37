"""Write a study to Trackio."""

from __future__ import annotations

import contextvars
import io
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Any

from automl.callbacks.base import Callback, StudyInfo, TrialEnd, TrialInfo
from automl.callbacks.numbers import config_values, report_numbers, result_numbers
from automl.errors import ConfigError
from automl.records import Report

if TYPE_CHECKING:
    from automl.result import FitResult
    from automl.search.tune import TuneResult


class Trackio(Callback):
    """Writes a run for each trial in one group, and a run for the study (`pip install 'automl[trackio]'`).

    Runs lie where Trackio keeps them on this machine (`TRACKIO_DIR`); `trackio show` opens them. With a `space_id` they
    go to a Space of Hugging Face. A resumed study goes on in the same runs. Raises ConfigError if Trackio is not
    installed.
    """

    def __init__(self, project: str = "automl", *, space_id: str | None = None) -> None:
        try:
            import trackio  # noqa: F401  # kept in no attribute: estimators copy their callbacks
        except ImportError as error:
            raise ConfigError("Trackio is not installed: run `pip install 'automl[trackio]'`") from error
        self.project, self.space_id = project, space_id
        self._runs: dict[int, Any] = {}

    def on_study_start(self, study: StudyInfo) -> None:
        """Open the run of the study itself, which gets the scores at the end."""
        self._study = study
        self._parent = self._run(study.name, dict(study.options))

    def on_trial_start(self, trial: TrialInfo) -> None:
        """Open the trial's run, with its configuration."""
        self._of(trial)

    def on_report(self, trial: TrialInfo, report: Report) -> None:
        """Log the round's numbers."""
        self._of(trial).log(report_numbers(self._study, report), step=report.round)

    def on_trial_end(self, trial: TrialInfo, end: TrialEnd) -> None:
        """Log how the trial ended, and close its run."""
        run = self._of(trial)
        run.log({"state": str(end.state), "reason": end.reason}, step=end.rounds)
        _quietly(run.finish)
        del self._runs[trial.number]

    def on_study_end(self, result: FitResult | TuneResult | None) -> None:
        """Log the scores of the result, and close all runs."""
        if result is not None:
            self._parent.log(result_numbers(result))
        for run in (*self._runs.values(), self._parent):
            _quietly(run.finish)
        self._runs.clear()

    def _of(self, trial: TrialInfo) -> Any:
        if trial.number not in self._runs:
            config = {"kind": trial.kind, **config_values(trial.config)}
            self._runs[trial.number] = self._run(f"{self._study.name}-{trial.label}", config)
        return self._runs[trial.number]

    def _run(self, name: str, config: dict[str, Any]) -> Any:
        """Open a run, or an earlier one of this name.

        Trackio ends the run that is open in the same context: each has one of its own, as several trials run at once.
        """
        import trackio

        def opened() -> Any:
            return trackio.init(
                self.project,
                name=name,
                group=self._study.name,
                space_id=self.space_id,
                config=config,
                resume="allow",
                embed=False,
                auto_log_gpu=False,
                auto_log_cpu=False,
            )

        return contextvars.Context().run(_quietly, opened)


def _quietly(call: Any) -> Any:
    """Call it without what it prints: stdout is for the result of a command."""
    with redirect_stdout(io.StringIO()):
        return call()
