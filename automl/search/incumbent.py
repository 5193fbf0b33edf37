"""Which trial is the best so far."""

from __future__ import annotations

import math
from dataclasses import dataclass

from automl.records import Mode


@dataclass(frozen=True)
class Best:
    """A trial, its last finite value and the epoch of that."""

    trial: int
    value: float
    epoch: int


class Incumbent:
    """The best trial, by the last finite value that each has reported.

    Trials stand at different epochs. The longer trained one is preferred: a trial with fewer epochs takes
    over only if its value, reached with less training, is already better than what the longer trained one has
    now; equal values go to more epochs, then to the earlier trial. A failed trial drops out. Only a trial's
    latest value counts, not its luckiest: it is what training it so far is worth.
    """

    def __init__(self, mode: Mode) -> None:
        self._sign = -1.0 if mode == "max" else 1.0
        self._standing: dict[int, Best] = {}
        self.best: Best | None = None

    def report(self, trial: int, epoch: int, value: float) -> None:
        """Takes in a value; NaN and infinities change nothing."""
        if not math.isfinite(value):
            return
        found = Best(trial, value, epoch)
        self._standing[trial] = found
        if self.best is None or self._key(found) < self._key(self.best):
            self.best = found
        elif self.best.trial == trial:
            self._search()

    def drop(self, trial: int) -> None:
        """The trial failed."""
        self._standing.pop(trial, None)
        if self.best is not None and self.best.trial == trial:
            self._search()

    def is_best(self, trial: int) -> bool:
        """Whether the trial is the incumbent."""
        return self.best is not None and self.best.trial == trial

    def _search(self) -> None:
        self.best = min(self._standing.values(), key=self._key, default=None)

    def _key(self, best: Best) -> tuple[float, int, int]:
        return (self._sign * best.value, -best.epoch, best.trial)
