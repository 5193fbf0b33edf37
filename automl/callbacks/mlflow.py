"""Write a study to MLflow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from automl.callbacks.base import Callback, StudyInfo, TrialEnd, TrialInfo
from automl.callbacks.numbers import config_values, report_numbers, result_numbers
from automl.errors import ConfigError
from automl.records import Report, TrialState

if TYPE_CHECKING:
    from automl.result import FitResult
    from automl.search.tune import TuneResult

_STUDY, _TRIAL, _PARENT = "automl.study", "automl.trial", "mlflow.parentRunId"
_STATUS = {TrialState.COMPLETE: "FINISHED", TrialState.FAILED: "FAILED"}


class MLflow(Callback):
    """Writes a run for each trial below one parent run for the study (`pip install 'automl[mlflow]'`).

    `tracking_uri` is by default that of MLflow (`MLFLOW_TRACKING_URI`), or else a file in the study's folder.
    `experiment` is by default "automl". A resumed study goes on in the same runs. Pruned trials are KILLED in MLflow.
    Raises ConfigError if MLflow is not installed.
    """

    def __init__(self, tracking_uri: str | None = None, experiment: str = "automl") -> None:
        try:
            import mlflow  # noqa: F401  # kept in no attribute: estimators copy their callbacks
        except ImportError as error:
            raise ConfigError("MLflow is not installed: run `pip install 'automl[mlflow]'`") from error
        self.tracking_uri, self.experiment = tracking_uri, experiment
        self._runs: dict[int, str] = {}

    def on_study_start(self, study: StudyInfo) -> None:
        """Open the parent run, or find that of an earlier run of the study."""
        from mlflow import MlflowClient

        self._study = study
        self._client = MlflowClient(tracking_uri=self.tracking_uri or self._default_uri(study))
        known = self._client.get_experiment_by_name(self.experiment)
        self._experiment: str = (
            self._client.create_experiment(self.experiment) if known is None else known.experiment_id
        )
        self._parent = self._run(study.name, {_STUDY: study.name, _TRIAL: "parent"})
        self._log_params(self._parent, study.options)

    def on_trial_start(self, trial: TrialInfo) -> None:
        """Open the trial's run, with its configuration as parameters."""
        self._log_params(self._of(trial), {"kind": trial.kind, **config_values(trial.config)})

    def on_report(self, trial: TrialInfo, report: Report) -> None:
        """Log the round's numbers."""
        run = self._of(trial)
        for name, value in report_numbers(self._study, report).items():
            self._client.log_metric(run, _key(name), value, step=report.round)

    def on_trial_end(self, trial: TrialInfo, end: TrialEnd) -> None:
        """Close the trial's run."""
        run = self._of(trial)
        self._client.set_tag(run, "automl.state", str(end.state))
        self._client.set_tag(run, "automl.reason", end.reason)
        self._client.set_terminated(run, _STATUS.get(end.state, "KILLED"))

    def on_study_end(self, result: FitResult | TuneResult | None) -> None:
        """Log the scores of the result, and close the parent run."""
        if result is not None:
            for name, value in result_numbers(result).items():
                self._client.log_metric(self._parent, _key(name), value)
        self._client.set_terminated(self._parent, "KILLED" if result is None else "FINISHED")

    def _default_uri(self, study: StudyInfo) -> str:
        import os

        if uri := os.environ.get("MLFLOW_TRACKING_URI"):
            return uri
        place = study.folder("mlflow").absolute()
        place.mkdir(parents=True, exist_ok=True)
        return f"sqlite:///{place / 'mlflow.db'}"

    def _of(self, trial: TrialInfo) -> str:
        """Return the id of the trial's run."""
        if trial.number not in self._runs:
            tags = {_STUDY: self._study.name, _TRIAL: str(trial.number), _PARENT: self._parent}
            self._runs[trial.number] = self._run(trial.label, tags)
        return self._runs[trial.number]

    def _run(self, name: str, tags: dict[str, str]) -> str:
        """Return the id of the run with these tags, which is opened again, or of a new one."""
        wanted = " and ".join(
            "tags.`{}` = '{}'".format(tag, value.replace("'", "''")) for tag, value in tags.items()
        )
        for found in self._client.search_runs([self._experiment], wanted, max_results=1):
            self._client.update_run(found.info.run_id, status="RUNNING")
            return str(found.info.run_id)
        return str(self._client.create_run(self._experiment, tags=tags, run_name=name).info.run_id)

    def _log_params(self, run: str, values: Any) -> None:
        known = self._client.get_run(run).data.params
        for name, value in values.items():
            if _key(name) not in known:  # MLflow refuses to change one
                self._client.log_param(run, _key(name), value)


def _key(name: str) -> str:
    """Return a name that MLflow takes."""
    return "".join(letter if letter.isalnum() or letter in "_-. /" else "_" for letter in name)
