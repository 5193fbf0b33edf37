"""Write a study for TensorBoard."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from automl.callbacks.base import Callback, StudyInfo, TrialEnd, TrialInfo
from automl.callbacks.numbers import report_numbers, result_numbers
from automl.records import Report

if TYPE_CHECKING:
    from automl.result import FitResult
    from automl.search.tune import TuneResult


class TensorBoard(Callback):
    """Writes a run for each trial in `directory`, by default `trackers/tensorboard` in the study's folder.

    Look at them with `tensorboard --logdir DIRECTORY` (`pip install tensorboard`). Writing needs nothing more than
    tensorboardX, which Ray Tune brings. A resumed study goes on in the same folders.
    """

    def __init__(self, directory: str | Path | None = None) -> None:
        self.directory = None if directory is None else Path(directory)
        self._writers: dict[str, Any] = {}

    def on_study_start(self, study: StudyInfo) -> None:
        """Open the run of the study itself, which gets the scores at the end."""
        self._study = study
        self._home = self.directory or study.folder("tensorboard")
        self._writer("study").add_text("options", _table(study.options))

    def on_trial_start(self, trial: TrialInfo) -> None:
        """Open the trial's run, with its configuration as a text."""
        self._writer(trial.label).add_text("configuration", _table({"kind": trial.kind, **trial.config}))

    def on_report(self, trial: TrialInfo, report: Report) -> None:
        """Write the round's numbers."""
        writer = self._writer(trial.label)
        for name, value in report_numbers(self._study, report).items():
            writer.add_scalar(name, value, report.round)
        writer.flush()

    def on_trial_end(self, trial: TrialInfo, end: TrialEnd) -> None:
        """Write why it ended, and close its run."""
        writer = self._writer(trial.label)
        writer.add_text("end", f"{end.state}: {end.reason}", end.rounds)
        writer.close()
        self._writers.pop(trial.label, None)

    def on_study_end(self, result: FitResult | TuneResult | None) -> None:
        """Write the scores of the result, and close all runs."""
        if result is not None:
            for name, value in result_numbers(result).items():
                self._writer("study").add_scalar(name, value, 0)
        for writer in self._writers.values():
            writer.close()
        self._writers.clear()

    def _writer(self, run: str) -> Any:
        """Return the writer of a run; that of a trial is opened again when it goes on."""
        if run not in self._writers:
            from tensorboardX import SummaryWriter

            self._writers[run] = SummaryWriter(str(self._home / run))
        return self._writers[run]


def _table(values: Any) -> str:
    """Return names and values as a Markdown table."""
    rows = "\n".join(f"| {name} | {str(value).replace('|', '/')} |" for name, value in values.items())
    return f"| name | value |\n| --- | --- |\n{rows}"
