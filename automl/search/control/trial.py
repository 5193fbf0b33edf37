"""A trial of a running search: restored from an earlier run, or hanging."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from automl.records import Config, TrialState
from automl.search.policy import TrialView
from automl.search.reasons import Code, Reason
from automl.search.storage.checkpoints import TrialFiles
from automl.search.storage.reader import StoredTrial

FINAL = frozenset({TrialState.COMPLETE, TrialState.PRUNED, TrialState.UNFINISHED, TrialState.FAILED})
# When a silent trial counts as hanging. Generous, because a retry costs all rounds since the last checkpoint.
SILENT_ROUNDS = 20.0  # times the longest round of any trial: rounds of architectures differ that much
STARTING = 2.0  # times as long while a process starts: it imports, decodes and loads
NO_ROUND_YET_S = 1800.0  # while no trial has reported at all


@dataclass
class LiveTrial:
    """A trial of a running search.

    `checkpoint` is the saved round, 0 if there is none. `seconds` is the time of its last round. `placed`: its worker
    is known. `heard` is the engine's clock when it began to run or last reported. `tries` counts lost processes.
    """

    number: int
    config: Config
    state: TrialState = TrialState.RUNNING
    round: int = 0
    value: float | None = None
    checkpoint: int = 0
    placed: bool = False
    seconds: float = 0.0
    heard: float = 0.0
    tries: int = 0


def restored(trial: StoredTrial, files: TrialFiles) -> tuple[TrialView, LiveTrial]:
    """Return a trial of an earlier run as the policy and the coordinator see it.

    A trial that a stop or a crash interrupted stands at its checkpoint, or at its beginning if it has none; later
    rounds run again. Any other stands where it last reported.
    """
    saved = files.saved_round(trial.number)
    round, state, shown = trial.rounds, trial.state, trial.state
    if trial.interrupted:
        round, state, shown = min(saved, trial.rounds), TrialState.RUNNING, TrialState.PAUSED
    values = {report.round: report.value for report in trial.reports}
    view = TrialView(trial.number, state, round, values, trial.first_rung)
    value = trial.value if trial.reports else None
    seconds = trial.reports[-1].seconds if trial.reports else 0.0
    return view, LiveTrial(trial.number, trial.config, shown, round, value, saved, seconds=seconds)


def hanging(trials: Iterable[LiveTrial], *, now: float, patience: float) -> dict[int, Reason]:
    """Return the running trials that hang. The reasons hold the seconds since they began to run or last reported.

    A trial may be silent for 20 times the longest round of any trial, and for `patience` seconds in any case; for
    twice as long while its process starts.
    """
    live = list(trials)
    longest = max((trial.seconds for trial in live), default=0.0)
    allowed = max(patience, SILENT_ROUNDS * longest if longest > 0.0 else NO_ROUND_YET_S)
    silent = {}
    for trial in live:
        limit = allowed if trial.placed else STARTING * allowed
        if trial.state is TrialState.RUNNING and now - trial.heard > limit:
            silent[trial.number] = Reason(Code.HUNG, {"seconds": round(now - trial.heard)})
    return silent
