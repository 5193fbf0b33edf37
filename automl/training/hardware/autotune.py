"""Find the fastest of several ways to do the same work, while doing it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

TURNS = 5  # measurements of each option at the start; the first one also pays for allocations
RETRY = 100  # turns until another option is measured again, because the load of the machine changes


class Autotune:
    """Measures each of several options five times, then uses the one with the shortest of its last five times.

    The minimum, not the mean: other processes on the same cores only ever add time. Every hundredth turn measures the
    option that was not used for longest.
    """

    def __init__(self, options: int = 2, *, clock: Callable[[], float] = time.perf_counter) -> None:
        self._times: list[deque[float]] = [deque(maxlen=TURNS) for _ in range(options)]
        self._used = [0] * options  # the last turn of each
        self._turns = 0
        self._clock = clock

    @property
    def best(self) -> int:
        """The fastest option so far, by its number from 0."""
        return min(range(len(self._times)), key=lambda option: min(self._times[option], default=0.0))

    @contextmanager
    def measured(self) -> Iterator[int]:
        """Yield the option to use in the block, and measure the block; one that raises does not count."""
        option = self._next()
        start = self._clock()
        yield option
        self._times[option].append(self._clock() - start)
        self._turns += 1
        self._used[option] = self._turns

    def _next(self) -> int:
        fewest = min(self._times, key=len)
        if len(fewest) < TURNS:
            return self._times.index(fewest)
        if self._turns % RETRY == 0:
            return min(range(len(self._used)), key=lambda option: self._used[option])
        return self.best
