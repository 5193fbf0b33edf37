"""What a callback is, and what it is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from automl.records import Config, Mode, Report, TrialState

if TYPE_CHECKING:
    from automl.result import FitResult
    from automl.search.tune import TuneResult

TRACKER_FOLDER = "trackers"  # in the folder of a study: what trackers keep on this machine


@dataclass(frozen=True)
class StudyInfo:
    """A study that starts, or goes on after a resume.

    `metric` is compared in the direction of `mode`. `directory` is the study's folder, None for a study that keeps
    nothing. `options` are those of `fit` or `tune`, as text where they are no numbers.
    """

    name: str
    metric: str
    mode: Mode
    directory: Path | None = None
    options: Mapping[str, str | float] = field(default_factory=dict)

    def folder(self, tracker: str) -> Path:
        """Return where a tracker keeps its files: in the study's folder, or else in the working folder."""
        home = Path(TRACKER_FOLDER) / self.name if self.directory is None else self.directory / TRACKER_FOLDER
        return home / tracker


@dataclass(frozen=True)
class TrialInfo:
    """A trial: its number in the study, its configuration, and what model it is ("fine-tuned", "from scratch", "")."""

    number: int
    config: Config
    kind: str = ""

    @property
    def label(self) -> str:
        """The name of its folder, and of its run in a tracker, such as t0007."""
        return f"t{self.number:04d}"


@dataclass(frozen=True)
class TrialEnd:
    """How a trial ended: its state, its last value (None without one), its rounds, and why."""

    state: TrialState
    value: float | None
    rounds: int
    reason: str


class Callback:
    """Override the methods that you need. They are called on the driver, in order, from one thread.

    The search waits for each call, so keep them short. A callback that raises an error is left out from then on; the
    study goes on without it and says so once. Linear heads are no trials of the search, and are not told.
    """

    def on_study_start(self, study: StudyInfo) -> None:
        """The data are read and the metric is known; no trial has run yet in this run of the study."""

    def on_trial_start(self, trial: TrialInfo) -> None:
        """A new trial begins."""

    def on_report(self, trial: TrialInfo, report: Report) -> None:
        """A trial ended a round. `report.value` is the metric on the validation rows, which may be NaN."""

    def on_promotion(self, trial: TrialInfo, reason: str) -> None:
        """A paused or unfinished trial goes on. After a resume it may be one whose start was not told."""

    def on_trial_end(self, trial: TrialInfo, end: TrialEnd) -> None:
        """A trial ended for good."""

    def on_study_end(self, result: FitResult | TuneResult | None) -> None:
        """The study ended; the result is None after an error or Ctrl-C. Called once after `on_study_start`."""
