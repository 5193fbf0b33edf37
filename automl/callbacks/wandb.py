"""Write a study to Weights & Biases."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from automl.callbacks.base import Callback, StudyInfo, TrialEnd, TrialInfo
from automl.callbacks.numbers import config_values, report_numbers, result_numbers
from automl.errors import ConfigError
from automl.records import Report

if TYPE_CHECKING:
    from automl.result import FitResult
    from automl.search.tune import TuneResult


class WandB(Callback):
    """Writes a run for each trial in one group, and a run for the study (`pip install 'automl[wandb]'`).

    `mode` is that of wandb: "online", "offline" (`wandb sync` sends the runs later) or "disabled"; by default that of
    `WANDB_MODE`. Files lie in the study's folder. Raises ConfigError if wandb is not installed.
    """

    def __init__(
        self, project: str = "automl", *, entity: str | None = None, mode: str | None = None
    ) -> None:
        try:
            import wandb  # noqa: F401  # kept in no attribute: estimators copy their callbacks
        except ImportError as error:
            raise ConfigError("wandb is not installed: run `pip install 'automl[wandb]'`") from error
        self.project, self.entity, self.mode = project, entity, mode
        self._runs: dict[int, Any] = {}

    def on_study_start(self, study: StudyInfo) -> None:
        """Open the run of the study itself, which gets the scores at the end."""
        self._study = study
        self._parent = self._run(study.name, "study", dict(study.options))

    def on_trial_start(self, trial: TrialInfo) -> None:
        """Open the trial's run, with its configuration."""
        self._of(trial)

    def on_report(self, trial: TrialInfo, report: Report) -> None:
        """Log the round's numbers."""
        self._of(trial).log(report_numbers(self._study, report), step=report.round)

    def on_trial_end(self, trial: TrialInfo, end: TrialEnd) -> None:
        """Close the trial's run."""
        run = self._of(trial)
        run.summary.update({"state": str(end.state), "reason": end.reason, "rounds": end.rounds})
        run.finish(quiet=True)
        del self._runs[trial.number]

    def on_study_end(self, result: FitResult | TuneResult | None) -> None:
        """Write the scores of the result, and close all runs."""
        if result is not None:
            self._parent.summary.update(result_numbers(result))
        for run in (*self._runs.values(), self._parent):
            run.finish(quiet=True)
        self._runs.clear()

    def _of(self, trial: TrialInfo) -> Any:
        if trial.number not in self._runs:
            config = {"kind": trial.kind, **config_values(trial.config)}
            self._runs[trial.number] = self._run(trial.label, "trial", config)
        return self._runs[trial.number]

    def _run(self, name: str, kind: str, config: dict[str, Any]) -> Any:
        import wandb

        place = self._study.folder("wandb")
        place.mkdir(parents=True, exist_ok=True)
        return wandb.init(
            project=self.project,
            entity=self.entity,
            mode=self.mode,
            group=self._study.name,
            job_type=kind,
            name=name,
            config=config,
            dir=str(place),
            reinit="create_new",  # several trials run at once
            settings=wandb.Settings(silent=True, console="off"),
        )
