"""What a running search keeps of a trial, and how it is recalled from an earlier run."""

from __future__ import annotations

from dataclasses import dataclass

from automl.records import Config, TrialState
from automl.search.policy import TrialView
from automl.search.stored import StoredTrial
from automl.search.trial_files import TrialFiles


@dataclass
class LiveTrial:
    """A trial of a running search.

    `checkpoint` is the epoch that is saved, 0 if none; `moved`: its worker is known; `seconds`: its last epoch's.
    `heard`: the engine's clock when it began to run or last reported; `tries`: how often its process was lost.
    """

    number: int
    config: Config
    state: TrialState = TrialState.RUNNING
    epoch: int = 0
    value: float | None = None
    checkpoint: int = 0
    moved: bool = False
    seconds: float = 0.0
    heard: float = 0.0
    tries: int = 0


def recall(trial: StoredTrial, files: TrialFiles) -> tuple[TrialView, LiveTrial]:
    """A trial of an earlier run, for the policy and for the coordinator.

    One that a stop or a crash interrupted stands at its checkpoint, or at its beginning if it has none;
    epochs that were reported beyond that are run again. Any other stands where it was last reported.
    """
    saved = files.saved_epoch(trial.number)
    epoch, state, shown = trial.epochs, trial.state, trial.state
    if trial.interrupted:
        epoch, state, shown = min(saved, trial.epochs), TrialState.RUNNING, TrialState.PAUSED
    values = {report.epoch: report.value for report in trial.reports}
    view = TrialView(trial.number, state, epoch, values, trial.first_rung)
    value = trial.value if trial.reports else None
    seconds = trial.reports[-1].seconds if trial.reports else 0.0
    return view, LiveTrial(trial.number, trial.config, shown, epoch, value, saved, seconds=seconds)
