"""Write a study to MLflow."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from automl.callbacks.base import StudyInfo, TrialEnd, TrialInfo
from automl.callbacks.tracker import Run, Tracker, require_tracker
from automl.records import TrialState

if TYPE_CHECKING:
    from mlflow import MlflowClient

_STUDY, _TRIAL, _PARENT = "automl.study", "automl.trial", "mlflow.parentRunId"
_STATUS = {TrialState.COMPLETE: "FINISHED", TrialState.FAILED: "FAILED"}


class MLflow(Tracker):
    """Writes a run for each trial below one parent run for the study (`pip install 'automl[mlflow]'`).

    `tracking_uri` is by default that of MLflow (`MLFLOW_TRACKING_URI`), or else a file in the study's folder.
    `experiment` is by default "automl". A resumed study goes on in the same runs. Pruned trials are KILLED in MLflow.
    Raises ConfigError if MLflow is not installed.
    """

    def __init__(self, tracking_uri: str | None = None, experiment: str = "automl") -> None:
        require_tracker("MLflow", "mlflow")
        self.tracking_uri, self.experiment = tracking_uri, experiment

    def open_study(self, study: StudyInfo) -> Run:
        """Open the parent run, or find that of an earlier run of the study."""
        from mlflow import MlflowClient

        self._client = MlflowClient(tracking_uri=self.tracking_uri or _default_uri(study))
        known = self._client.get_experiment_by_name(self.experiment)
        self._experiment: str = (
            self._client.create_experiment(self.experiment) if known is None else known.experiment_id
        )
        parent = self._run(study.name, {_STUDY: study.name, _TRIAL: "parent"}, study.options)
        self._parent = parent.id
        return parent

    def open_trial(self, study: StudyInfo, trial: TrialInfo, values: Mapping[str, str | float]) -> Run:
        """Open the trial's run below the parent, with its configuration as parameters."""
        tags = {_STUDY: study.name, _TRIAL: str(trial.number), _PARENT: self._parent}
        return self._run(trial.label, tags, values)

    def _run(self, name: str, tags: dict[str, str], values: Mapping[str, str | float]) -> _Run:
        """Return the run with these tags, which is opened again, or a new one."""
        wanted = " and ".join(
            "tags.`{}` = '{}'".format(tag, value.replace("'", "''")) for tag, value in tags.items()
        )
        for found in self._client.search_runs([self._experiment], wanted, max_results=1):
            self._client.update_run(found.info.run_id, status="RUNNING")
            break
        else:
            found = self._client.create_run(self._experiment, tags=tags, run_name=name)
        run = _Run(self._client, str(found.info.run_id))
        run.add_parameters(values)
        return run


class _Run(Run):
    def __init__(self, client: MlflowClient, id: str) -> None:
        self._client, self.id = client, id

    def add_parameters(self, values: Mapping[str, str | float]) -> None:
        """Log parameters that the run does not have yet: MLflow refuses to change one."""
        known = self._client.get_run(self.id).data.params
        for name, value in values.items():
            if _key(name) not in known:
                self._client.log_param(self.id, _key(name), value)

    def log(self, numbers: Mapping[str, float], step: int) -> None:
        for name, value in numbers.items():
            self._client.log_metric(self.id, _key(name), value, step=step)

    def log_scores(self, scores: Mapping[str, float]) -> None:
        self.log(scores, 0)

    def log_end(self, end: TrialEnd) -> None:
        self._client.set_tag(self.id, "automl.state", str(end.state))
        self._client.set_tag(self.id, "automl.reason", end.reason)

    def close(self, state: TrialState) -> None:
        self._client.set_terminated(self.id, _STATUS.get(state, "KILLED"))


def _default_uri(study: StudyInfo) -> str:
    if uri := os.environ.get("MLFLOW_TRACKING_URI"):
        return uri
    place = study.folder("mlflow").absolute()
    place.mkdir(parents=True, exist_ok=True)
    return f"sqlite:///{place / 'mlflow.db'}"


def _key(name: str) -> str:
    """Return a name that MLflow takes."""
    return "".join(letter if letter.isalnum() or letter in "_-. /" else "_" for letter in name)
