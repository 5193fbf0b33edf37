"""What a running search keeps of a trial: recalled from an earlier run, hanging, or among the weaker half."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from automl.records import Config, Mode, TrialState
from automl.search.policy import TrialView
from automl.search.reasons import Code, Reason
from automl.search.storage.checkpoints import TrialFiles
from automl.search.storage.reader import StoredTrial


@dataclass
class LiveTrial:
    """A trial of a running search.

    `checkpoint` is the round that is saved, 0 if none; `moved`: its worker is known; `seconds`: its last round's.
    `heard`: the engine's clock when it began to run or last reported; `tries`: how often its process was lost.
    """

    number: int
    config: Config
    state: TrialState = TrialState.RUNNING
    round: int = 0
    value: float | None = None
    checkpoint: int = 0
    moved: bool = False
    seconds: float = 0.0
    heard: float = 0.0
    tries: int = 0


def recall(trial: StoredTrial, files: TrialFiles) -> tuple[TrialView, LiveTrial]:
    """A trial of an earlier run, for the policy and for the coordinator.

    One that a stop or a crash interrupted stands at its checkpoint, or at its beginning if it has none;
    rounds that were reported beyond that are run again. Any other stands where it was last reported.
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


SILENT_ROUNDS = 20.0  # of the longest seen: architectures differ that much in how long a round takes
STARTING = 2.0  # a process that starts also imports, decodes and loads
UNKNOWN = 1800.0  # seconds as long as no trial has reported at all


def hanging(trials: Iterable[LiveTrial], *, now: float, patience: float) -> dict[int, Reason]:
    """The running trials that count as hanging; the reasons hold the seconds since they began to run or last reported.

    A trial may be silent for 20 times the longest round of any trial, and for `patience` seconds in any case; twice
    as long while its process starts.
    """
    live = list(trials)
    longest = max((trial.seconds for trial in live), default=0.0)
    allowed = max(patience, SILENT_ROUNDS * longest) if longest > 0.0 else max(patience, UNKNOWN)
    silent = {}
    for trial in live:
        limit = allowed if trial.moved else STARTING * allowed
        if trial.state is TrialState.RUNNING and now - trial.heard > limit:
            silent[trial.number] = Reason(Code.HUNG, {"seconds": round(now - trial.heard)})
    return silent


def weaker_half(trials: Iterable[LiveTrial], *, mode: Mode, best: int | None) -> list[LiveTrial]:
    """The weaker half (rounded up) of the waiting trials that have a checkpoint, never the `best` trial.

    A trial without a finite value is the weakest. It is trained again up to where it stood, should it be promoted.
    """
    waiting = [
        live for live in trials if live.state is TrialState.PAUSED and live.checkpoint and live.number != best
    ]

    def loss(live: LiveTrial) -> float:
        if live.value is None or not math.isfinite(live.value):
            return math.inf
        return -live.value if mode == "max" else live.value

    waiting.sort(key=loss, reverse=True)
    return waiting[: (len(waiting) + 1) // 2]
