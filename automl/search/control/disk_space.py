"""Which checkpoints stay on disk: those of trials that may still go on, the incumbent's, and those of the front."""

from __future__ import annotations

import math
from collections.abc import Iterable

from automl.records import Mode, TrialState
from automl.search.control.incumbent import Incumbent
from automl.search.control.trial import FINAL, LiveTrial
from automl.search.pareto import on_front
from automl.search.settings import SearchSettings
from automl.search.storage.checkpoints import TrialFiles
from automl.search.storage.store import Store

OVER = FINAL - {TrialState.UNFINISHED}  # no later search goes on with such a trial
KEPT = 16  # unfinished trials whose checkpoints stay after a search, the best first
KEPT_FRONT = 8  # trials that are over and on the front of value and objectives, the best first


class DiskSpace:
    """Removes checkpoints that no trial needs, and others where the disk is full.

    Of trials that are over, those stay that no other beats in value and objectives, as a smaller or faster network may
    be wanted later, and the `keep_best` best ones by value, as they may be combined.
    """

    def __init__(
        self,
        store: Store,
        files: TrialFiles,
        incumbent: Incumbent,
        settings: SearchSettings,
    ) -> None:
        self._store, self._files = store, files
        self._incumbent, self._mode = incumbent, settings.mode
        self._modes = (settings.mode, *settings.objectives.values())
        self._keep_best = settings.keep_best
        self._front: dict[int, LiveTrial] = {}

    def drop_if_over(self, live: LiveTrial) -> None:
        """Remove the checkpoint of a trial that is over, unless it is the incumbent's or on the front."""
        if live.state not in OVER or self._incumbent.is_best(live.number):
            return
        self._front[live.number] = live
        self._drop_beaten()

    def restore(self, live: LiveTrial) -> None:
        """Take in a trial of an earlier run that is over."""
        if live.state in OVER and live.checkpoint:
            self._front[live.number] = live

    def _drop_beaten(self) -> None:
        over = [live for live in self._front.values() if not self._incumbent.is_best(live.number)]
        ranked = sorted(over, key=lambda live: _loss(live, self._mode))
        points = [_point(live, len(self._modes) - 1) for live in ranked]
        on = on_front(points, self._modes) if len(self._modes) > 1 else [False] * len(points)
        good = [live.number for live, is_on in zip(ranked, on, strict=True) if is_on][:KEPT_FRONT]
        good += [live.number for live, point in zip(ranked, points, strict=True) if math.isfinite(point[0])][
            : self._keep_best
        ]
        for live in over:
            if live.number not in good:
                del self._front[live.number]
                self._drop(live)

    def keep_best_unfinished(self, trials: Iterable[LiveTrial]) -> None:
        """At the end of a search, remove the checkpoints of all but the best unfinished trials.

        Scores of trials without a checkpoint go as well.
        """
        known = list(trials)
        ranked = sorted(
            (live for live in known if live.checkpoint and live.number not in self._front),
            key=lambda live: _loss(live, self._mode),
        )
        for live in ranked[KEPT:]:
            if not self._incumbent.is_best(live.number):
                self._drop(live)
        for live in known:
            if not live.checkpoint:
                self._drop_scores(live)

    def make_room(self, trials: Iterable[LiveTrial]) -> list[int]:
        """Remove the checkpoints of the front, or else those of the weaker half of the paused trials.

        Returns their numbers.
        """
        best = self._incumbent.best
        over = [live for number, live in self._front.items() if best is None or number != best.trial]
        if over:
            self._front = {number: live for number, live in self._front.items() if live not in over}
            for live in over:
                self._drop(live)
            return [live.number for live in over]
        gone = weaker_half(trials, mode=self._mode, best=None if best is None else best.trial)
        for live in gone:
            self._drop(live)
        return [live.number for live in gone]

    def _drop(self, live: LiveTrial) -> None:
        self._files.drop_checkpoint(live.number)
        if live.checkpoint:
            live.checkpoint = 0
            self._store.checkpoint(live.number, None)
        self._drop_scores(live)

    def _drop_scores(self, live: LiveTrial) -> None:
        """Remove the scores of a trial that never was the best: nobody asks what it answers."""
        if not self._incumbent.has_led(live.number):
            self._files.drop_scores(live.number)


def weaker_half(trials: Iterable[LiveTrial], *, mode: Mode, best: int | None) -> list[LiveTrial]:
    """Return the weaker half (rounded up) of the paused trials that have a checkpoint, never the `best` trial.

    A trial without a finite value is the weakest. If it is promoted, it trains again up to where it stood.
    """
    paused = [
        live for live in trials if live.state is TrialState.PAUSED and live.checkpoint and live.number != best
    ]
    paused.sort(key=lambda live: _loss(live, mode), reverse=True)
    return paused[: (len(paused) + 1) // 2]


def _point(live: LiveTrial, n: int) -> tuple[float, ...]:
    """Return the value of a trial and its n objectives; NaN for one without a state of its last round."""
    whole = live.value is not None and live.state is not TrialState.FAILED and live.checkpoint == live.round
    return (
        live.value if whole and live.value is not None else math.nan,
        *(live.objectives or [math.nan] * n),
    )


def _loss(live: LiveTrial, mode: Mode) -> float:
    if live.value is None or not math.isfinite(live.value):
        return math.inf
    return -live.value if mode == "max" else live.value
