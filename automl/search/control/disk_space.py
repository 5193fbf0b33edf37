"""Which checkpoints stay on disk: those of trials that may still go on, and the incumbent's."""

from __future__ import annotations

import math
from collections.abc import Iterable

from automl.records import Mode, TrialState
from automl.search.control.incumbent import Incumbent
from automl.search.control.trial import FINAL, LiveTrial
from automl.search.storage.checkpoints import TrialFiles
from automl.search.storage.store import Store

OVER = FINAL - {TrialState.UNFINISHED}  # no later search goes on with such a trial
KEPT = 16  # unfinished trials whose checkpoints stay after a search, the best first


class DiskSpace:
    """Removes checkpoints that no trial needs, and others where the disk is full."""

    def __init__(self, store: Store, files: TrialFiles, incumbent: Incumbent, mode: Mode) -> None:
        self._store, self._files = store, files
        self._incumbent, self._mode = incumbent, mode

    def drop_if_over(self, live: LiveTrial) -> None:
        """Remove the checkpoint of a trial that is over, unless it is the incumbent's."""
        if live.state in OVER and not self._incumbent.is_best(live.number):
            self._drop(live)

    def keep_best_unfinished(self, trials: Iterable[LiveTrial]) -> None:
        """At the end of a search, remove the checkpoints of all but the best unfinished trials."""
        ranked = sorted(
            (live for live in trials if live.checkpoint), key=lambda live: _loss(live, self._mode)
        )
        for live in ranked[KEPT:]:
            if not self._incumbent.is_best(live.number):
                self._drop(live)

    def make_room(self, trials: Iterable[LiveTrial]) -> list[int]:
        """Remove the checkpoints of the weaker half of the paused trials, and return their numbers."""
        best = self._incumbent.best
        gone = weaker_half(trials, mode=self._mode, best=None if best is None else best.trial)
        for live in gone:
            self._drop(live)
        return [live.number for live in gone]

    def _drop(self, live: LiveTrial) -> None:
        self._files.drop_checkpoint(live.number)
        if live.checkpoint:
            live.checkpoint = 0
            self._store.checkpoint(live.number, None)


def weaker_half(trials: Iterable[LiveTrial], *, mode: Mode, best: int | None) -> list[LiveTrial]:
    """Return the weaker half (rounded up) of the paused trials that have a checkpoint, never the `best` trial.

    A trial without a finite value is the weakest. If it is promoted, it trains again up to where it stood.
    """
    paused = [
        live for live in trials if live.state is TrialState.PAUSED and live.checkpoint and live.number != best
    ]
    paused.sort(key=lambda live: _loss(live, mode), reverse=True)
    return paused[: (len(paused) + 1) // 2]


def _loss(live: LiveTrial, mode: Mode) -> float:
    if live.value is None or not math.isfinite(live.value):
        return math.inf
    return -live.value if mode == "max" else live.value
