"""Which of the running trials have been silent for too long."""

from __future__ import annotations

from collections.abc import Iterable

from automl.records import TrialState
from automl.search.live_trial import LiveTrial
from automl.search.reasons import Code, Reason

EPOCHS = 20.0  # of the longest seen: architectures differ that much in how long an epoch takes
STARTING = 2.0  # a process that starts also imports, decodes and loads
UNKNOWN = 1800.0  # seconds as long as no trial has reported at all


def hanging(trials: Iterable[LiveTrial], *, now: float, patience: float) -> dict[int, Reason]:
    """The running trials that count as hanging; the reasons hold the seconds since they began to run or last reported.

    A trial may be silent for 20 times the longest epoch of any trial, and for `patience` seconds in any case; twice
    as long while its process starts.
    """
    live = list(trials)
    longest = max((trial.seconds for trial in live), default=0.0)
    allowed = max(patience, EPOCHS * longest) if longest > 0.0 else max(patience, UNKNOWN)
    silent = {}
    for trial in live:
        limit = allowed if trial.moved else STARTING * allowed
        if trial.state is TrialState.RUNNING and now - trial.heard > limit:
            silent[trial.number] = Reason(Code.HUNG, {"seconds": round(now - trial.heard)})
    return silent
