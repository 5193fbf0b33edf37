"""The times of one search: since the study began, since this search began, and until its deadline."""

from __future__ import annotations

import math
from collections.abc import Callable

from automl.search.settings import SearchSettings


class Timing:
    """Counts seconds on `clock`: wall time, or the simulator's. It only goes forward.

    `offset` is the time that earlier runs of the study took.
    """

    def __init__(self, settings: SearchSettings, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._begin = clock()
        self.offset = 0.0
        self._ends = [math.inf]
        if settings.time_limit is not None:
            self._ends.append(self._begin + settings.time_limit)
        if settings.deadline is not None:
            self._ends.append(self._begin + settings.deadline.left())
        self.given = max(self.remaining(), 1e-9)

    def elapsed(self) -> float:
        """Return the seconds since this search began."""
        return self._clock() - self._begin

    def now(self) -> float:
        """Return the seconds since the study's first search began, without the time between runs."""
        return self.offset + self.elapsed()

    def remaining(self) -> float:
        """Return the seconds until the deadline: negative after it, infinite without one."""
        return min(self._ends) - self._clock()

    def spent(self) -> tuple[float, float] | None:
        """Return the seconds spent and the seconds given, None without a deadline."""
        return (min(self.elapsed(), self.given), self.given) if math.isfinite(self.given) else None
