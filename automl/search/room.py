"""Which checkpoints go first when the disk is full."""

from __future__ import annotations

import math
from collections.abc import Iterable

from automl.records import Mode, TrialState
from automl.search.live_trial import LiveTrial


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
