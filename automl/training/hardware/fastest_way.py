"""Which of several ways to do the same work is fastest here, found out while the work is done."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

TURNS = 5  # of each way at the beginning; the first pays for allocations
LOOK = 100  # turns until another way is tried once more: neighbours come and go


class Contest:
    """`ways` take turns, five each; from then on the one is used with the least time among its last five turns.

    The least, not the mean: neighbours on the same cores only ever add to it. Every hundredth turn goes to the way that
    was longest not used, as what is fastest depends on the neighbours, too.
    """

    def __init__(self, ways: int = 2, *, clock: Callable[[], float] = time.perf_counter) -> None:
        self._times: list[deque[float]] = [deque(maxlen=TURNS) for _ in range(ways)]
        self._used = [0] * ways  # the last turn of each
        self._turns = 0
        self._clock = clock

    @property
    def best(self) -> int:
        """The way that was fastest lately; the first while there is nothing to compare."""
        return min(range(len(self._times)), key=lambda way: min(self._times[way], default=0.0))

    @contextmanager
    def turn(self) -> Iterator[int]:
        """The way, from 0, to do the block's work; a block that raises does not count."""
        way = self._next()
        begun = self._clock()
        yield way
        self._times[way].append(self._clock() - begun)
        self._turns += 1
        self._used[way] = self._turns

    def _next(self) -> int:
        fewest = min(self._times, key=len)
        if len(fewest) < TURNS:
            return self._times.index(fewest)
        if self._turns % LOOK == 0:
            return min(range(len(self._used)), key=lambda way: self._used[way])
        return self.best
