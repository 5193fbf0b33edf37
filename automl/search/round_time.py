"""How long a round of a configuration will take: what was expected, corrected by what its family took."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice

from automl.records import Config

MEMORY = 0.9  # how much an earlier round of a family counts beside the one after it: the machine's neighbours change
PRIOR = 1.0  # rounds that what is known of all families counts for beside a family's own
REVISED = 1.5  # a plan is off by much where rounds take this many times longer or shorter than it says,
FEWEST = 5  # as seen in so many rounds
LOOK_BACK = 64  # trials


@dataclass(frozen=True)
class Expected:
    """What is expected before anything was measured: `seconds` of one round, and the family it is like."""

    family: str
    seconds: float


Expect = Callable[[Config], Expected]


class _Average:
    """A mean of logarithms in which older ones fade."""

    def __init__(self) -> None:
        self.weight = self.mean = 0.0
        self.count = 0

    def add(self, value: float) -> None:
        self.weight = MEMORY * self.weight + 1.0
        self.mean += (value - self.mean) / self.weight
        self.count += 1

    def towards(self, prior: float) -> float:
        """The mean, drawn to a prior as long as there is little."""
        return (self.weight * self.mean + PRIOR * prior) / (self.weight + PRIOR)


class Forecast:
    """Predicts the seconds of a round. Without expectations every configuration takes what the median trial does.

    The logarithm of measured over expected seconds is averaged over the rounds of a family, and drawn to the average of
    all families, which itself is drawn to what was expected.
    """

    def __init__(self, expect: Expect | None = None) -> None:
        self._expect = expect
        self._families: dict[str, _Average] = {}
        self._all = _Average()
        self._last: dict[int, float] = {}
        self._expected: dict[int, Expected] = {}
        self._told = 1.0

    def learn(self, trial: int, config: Config, seconds: float) -> None:
        """A round of a trial took so many seconds; what is not above 0 says nothing."""
        if not (seconds > 0.0 and math.isfinite(seconds)):
            return
        # The last place is the newest trial's.
        self._last.pop(trial, None)
        self._last[trial] = seconds
        if self._expect is not None:
            expected = self._of(trial, config)
            off = math.log(seconds / expected.seconds)
            self._families.setdefault(expected.family, _Average()).add(off)
            self._all.add(off)

    def seconds(self, config: Config) -> float | None:
        """A round of the configuration; None as long as nothing is known."""
        if self._expect is None:
            return self.usual()
        return self._corrected(self._expect(config))

    def usual(self) -> float | None:
        """The median of the last rounds of the trials that reported most recently; None before the first."""
        recent = list(islice(reversed(self._last.values()), LOOK_BACK))
        return statistics.median(recent) if recent else None

    def quick(self, trials: Iterable[tuple[int, Config]]) -> float | None:
        """A round of a quick configuration: what a quarter of the trials take at most; None where there is none."""
        if self._expect is None:
            return self.usual()
        known = sorted(self._corrected(self._of(number, config)) for number, config in trials)
        return known[len(known) // 4] if known else None

    def revision(self) -> str:
        """Says once that rounds take much longer or shorter than planned, and again when that changes by as much."""
        slower = math.exp(self._all.towards(0.0))
        if self._all.count < FEWEST or 1.0 / REVISED < slower / self._told < REVISED:
            return ""
        self._told = slower
        than = f"{slower:.1f} times as long as" if slower >= 1.0 else f"only {slower:.0%} of"
        return f"Plan revised: rounds take {than} what was measured before the search"

    def _of(self, number: int, config: Config) -> Expected:
        assert self._expect is not None
        if number not in self._expected:
            self._expected[number] = self._expect(config)
        return self._expected[number]

    def _corrected(self, expected: Expected) -> float:
        everywhere = self._all.towards(0.0)
        family = self._families.get(expected.family)
        return expected.seconds * math.exp(everywhere if family is None else family.towards(everywhere))
