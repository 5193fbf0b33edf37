"""Write a study to Trackio."""

from __future__ import annotations

import contextvars
import io
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from typing import Any

from automl.callbacks.base import StudyInfo, TrialEnd, TrialInfo
from automl.callbacks.tracker import Run, Tracker, require_tracker
from automl.records import TrialState


class Trackio(Tracker):
    """Writes a run for each trial in one group, and a run for the study (`pip install 'automl[trackio]'`).

    Runs lie where Trackio keeps them on this machine (`TRACKIO_DIR`); `trackio show` opens them. With a `space_id` they
    go to a Space of Hugging Face. A resumed study goes on in the same runs. Raises ConfigError if Trackio is not
    installed.
    """

    def __init__(self, project: str = "automl", *, space_id: str | None = None) -> None:
        require_tracker("Trackio", "trackio")
        self.project, self.space_id = project, space_id

    def open_study(self, study: StudyInfo) -> Run:
        """Open the run of the study itself."""
        return self._run(study, study.name, study.options)

    def open_trial(self, study: StudyInfo, trial: TrialInfo, values: Mapping[str, str | float]) -> Run:
        """Open the trial's run."""
        return self._run(study, f"{study.name}-{trial.label}", values)

    def _run(self, study: StudyInfo, name: str, values: Mapping[str, str | float]) -> _Run:
        """Open a run, or an earlier one of this name.

        Trackio ends the run that is open in the same context: each has one of its own, as several trials run at once.
        """
        import trackio

        def opened() -> Any:
            return trackio.init(
                self.project,
                name=name,
                group=study.name,
                space_id=self.space_id,
                config=dict(values),
                resume="allow",
                embed=False,
                auto_log_gpu=False,
                auto_log_cpu=False,
            )

        return _Run(contextvars.Context().run(_quietly, opened))


class _Run(Run):
    def __init__(self, run: Any) -> None:
        self._run = run

    def log(self, numbers: Mapping[str, float], step: int) -> None:
        self._run.log(dict(numbers), step=step)

    def log_scores(self, scores: Mapping[str, float]) -> None:
        self._run.log(dict(scores))

    def log_end(self, end: TrialEnd) -> None:
        self._run.log({"state": str(end.state), "reason": end.reason}, step=end.rounds)

    def close(self, state: TrialState) -> None:
        _quietly(self._run.finish)


def _quietly(call: Callable[[], Any]) -> Any:
    """Call it without what it prints: stdout is for the result of a command."""
    with redirect_stdout(io.StringIO()):
        return call()
