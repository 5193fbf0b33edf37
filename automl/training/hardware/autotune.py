"""Find the fastest of several ways to do the same work, while doing it."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

TURNS = 5  # measurements of each option at the start; the first one also pays for allocations
RETRY = 100  # turns until another option is measured again, because the load of the machine changes
HOPELESS = 3.0  # times as long as another option, twice: such a one is not measured further


class Autotune:
    """Measures each of several options five times, then uses the one with the shortest of its last five times.

    The minimum, not the mean: other processes on the same cores only ever add time. Every hundredth turn measures the
    option that was not used for longest. An option that took three times as long as another one twice in a row is left
    at once. `skip(option)` is asked before an option is measured; if it returns True, again a hundred turns later.
    """

    def __init__(
        self,
        options: int = 2,
        *,
        clock: Callable[[], float] = time.perf_counter,
        skip: Callable[[int], bool] = lambda option: False,
    ) -> None:
        self._times: list[deque[float]] = [deque(maxlen=TURNS) for _ in range(options)]
        self._used = [0] * options  # the last turn of each
        self._ask_from = [0] * options  # the turn from which on each may be measured
        self._turns = 0
        self._clock, self._skip = clock, skip

    @property
    def best(self) -> int:
        """The fastest option so far, by its number from 0."""
        return min(range(len(self._times)), key=self._shortest)

    @contextmanager
    def measured(self) -> Iterator[int]:
        """Yield the option to use in the block, and measure the block; one that raises does not count."""
        option = self._next()
        start = self._clock()
        yield option
        times = self._times[option]
        times.append(self._clock() - start)
        if self._is_hopeless(option):  # its earlier times are of another load
            last = list(times)[-2:]
            times.clear()
            times.extend(last)
        self._turns += 1
        self._used[option] = self._turns

    def _shortest(self, option: int) -> float:
        return min(self._times[option], default=math.inf)

    def _is_hopeless(self, option: int) -> bool:
        """Return whether its last two times are so much longer than the shortest of another option."""
        others = (self._shortest(other) for other in range(len(self._times)) if other != option)
        last = list(self._times[option])[-2:]
        return len(last) == 2 and min(last) > HOPELESS * min(others, default=math.inf)

    def _next(self) -> int:
        for option in self._to_measure():
            if self._turns < self._ask_from[option]:
                continue
            if not self._skip(option):
                return option
            self._ask_from[option] = self._turns + RETRY
        return self.best

    def _to_measure(self) -> list[int]:
        """Return the options that are to be measured now, the first one first."""
        options = range(len(self._times))
        few = [k for k in options if len(self._times[k]) < TURNS and not self._is_hopeless(k)]
        if few:
            return sorted(few, key=lambda option: len(self._times[option]))
        if self._turns % RETRY == 0:
            return [min(options, key=lambda option: self._used[option])]
        return []
