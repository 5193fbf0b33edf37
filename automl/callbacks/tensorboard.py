"""Write a study for TensorBoard."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from automl.callbacks.base import StudyInfo, TrialEnd, TrialInfo
from automl.callbacks.tracker import Run, Tracker
from automl.records import TrialState


class TensorBoard(Tracker):
    """Writes a run for each trial in `directory`, by default `trackers/tensorboard` in the study's folder.

    Look at them with `tensorboard --logdir DIRECTORY` (`pip install tensorboard`). Writing needs nothing more than
    tensorboardX, which Ray Tune brings. A resumed study goes on in the same folders.
    """

    def __init__(self, directory: str | Path | None = None) -> None:
        self.directory = None if directory is None else Path(directory)

    def open_study(self, study: StudyInfo) -> Run:
        """Open the run of the study itself, with its options as a text."""
        run = _Run(self._home(study) / "study")
        run.add_table("options", study.options)
        return run

    def open_trial(self, study: StudyInfo, trial: TrialInfo, values: Mapping[str, str | float]) -> Run:
        """Open the trial's run, with its configuration as a text."""
        folder = self._home(study) / trial.label
        goes_on = folder.exists()
        run = _Run(folder)
        if not goes_on:
            run.add_table("configuration", values)
        return run

    def _home(self, study: StudyInfo) -> Path:
        return self.directory or study.folder("tensorboard")


class _Run(Run):
    def __init__(self, folder: Path) -> None:
        from tensorboardX import SummaryWriter

        self._writer = SummaryWriter(str(folder))

    def add_table(self, tag: str, values: Mapping[str, str | float]) -> None:
        """Write names and values as a Markdown table."""
        rows = "\n".join(f"| {name} | {str(value).replace('|', '/')} |" for name, value in values.items())
        self._writer.add_text(tag, f"| name | value |\n| --- | --- |\n{rows}")

    def log(self, numbers: Mapping[str, float], step: int) -> None:
        for name, value in numbers.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()

    def log_scores(self, scores: Mapping[str, float]) -> None:
        self.log(scores, 0)

    def log_end(self, end: TrialEnd) -> None:
        self._writer.add_text("end", f"{end.state}: {end.reason}", end.rounds)

    def close(self, state: TrialState) -> None:
        self._writer.close()
