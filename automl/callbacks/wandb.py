"""Write a study to Weights & Biases."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from automl.callbacks.base import StudyInfo, TrialEnd, TrialInfo
from automl.callbacks.tracker import Run, Tracker, require_tracker
from automl.records import TrialState


class WandB(Tracker):
    """Writes a run for each trial in one group, and a run for the study (`pip install 'automl[wandb]'`).

    `mode` is that of wandb: "online", "offline" (`wandb sync` sends the runs later) or "disabled"; by default that of
    `WANDB_MODE`. Files lie in the study's folder. Raises ConfigError if wandb is not installed.
    """

    def __init__(
        self, project: str = "automl", *, entity: str | None = None, mode: str | None = None
    ) -> None:
        require_tracker("wandb", "wandb")
        self.project, self.entity, self.mode = project, entity, mode

    def open_study(self, study: StudyInfo) -> Run:
        """Open the run of the study itself."""
        return self._run(study, study.name, "study", study.options)

    def open_trial(self, study: StudyInfo, trial: TrialInfo, values: Mapping[str, str | float]) -> Run:
        """Open the trial's run."""
        return self._run(study, trial.label, "trial", values)

    def _run(self, study: StudyInfo, name: str, kind: str, values: Mapping[str, str | float]) -> _Run:
        import wandb

        place = study.folder("wandb")
        place.mkdir(parents=True, exist_ok=True)
        run = wandb.init(
            project=self.project,
            entity=self.entity,
            mode=self.mode,
            group=study.name,
            job_type=kind,
            name=name,
            config=dict(values),
            dir=str(place),
            reinit="create_new",  # several trials run at once
            settings=wandb.Settings(silent=True, console="off"),
        )
        return _Run(run)


class _Run(Run):
    def __init__(self, run: Any) -> None:
        self._run = run

    def log(self, numbers: Mapping[str, float], step: int) -> None:
        self._run.log(dict(numbers), step=step)

    def log_scores(self, scores: Mapping[str, float]) -> None:
        self._run.summary.update(dict(scores))

    def log_end(self, end: TrialEnd) -> None:
        self._run.summary.update({"state": str(end.state), "reason": end.reason, "rounds": end.rounds})

    def close(self, state: TrialState) -> None:
        self._run.finish(quiet=True)
