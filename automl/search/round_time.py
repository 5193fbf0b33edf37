"""Forecast of a configuration's round time: the expected seconds, corrected by what its family took."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice

from automl.records import Config

DECAY = 0.9  # weight of a round relative to the next one: the load of the machine changes
PRIOR = 1.0  # weight, in rounds, of all families beside a family's own
REVISED = 1.5  # the plan is revised where rounds take this many times longer or shorter than it says,
FEWEST = 5  # as measured in so many rounds
LOOK_BACK = 64  # trials


@dataclass(frozen=True)
class Expected:
    """The expected `seconds` of one round, and the family whose measurements correct them."""

    family: str
    seconds: float


Expect = Callable[[Config], Expected]


class _Average:
    """A mean with exponential decay."""

    def __init__(self) -> None:
        self.weight = self.mean = 0.0
        self.count = 0

    def add(self, value: float) -> None:
        self.weight = DECAY * self.weight + 1.0
        self.mean += (value - self.mean) / self.weight
        self.count += 1

    def towards(self, prior: float) -> float:
        """Return the mean, shrunk towards a prior while there are few values."""
        return (self.weight * self.mean + PRIOR * prior) / (self.weight + PRIOR)


class Forecast:
    """Predicts the seconds of a round. Without expectations, every configuration takes as long as the median trial.

    The logarithm of measured over expected seconds is averaged over the rounds of a family, and shrunk towards the
    average of all families, which itself is shrunk towards the expectation.
    """

    def __init__(self, expect: Expect | None = None) -> None:
        self._expect = expect
        self._families: dict[str, _Average] = {}
        self._all = _Average()
        self._last: dict[int, float] = {}
        self._expected: dict[int, Expected] = {}
        self._noted = 1.0

    def learn(self, trial: int, config: Config, seconds: float) -> None:
        """Take in the seconds of a round. Values that are not above 0 are ignored."""
        if not (seconds > 0.0 and math.isfinite(seconds)):
            return
        # Moves the trial to the end, the place of the newest one.
        self._last.pop(trial, None)
        self._last[trial] = seconds
        if self._expect is not None:
            expected = self._of(trial, config)
            off = math.log(seconds / expected.seconds)
            self._families.setdefault(expected.family, _Average()).add(off)
            self._all.add(off)

    def seconds(self, config: Config) -> float | None:
        """Return the seconds of a round of the configuration, None while nothing is known."""
        if self._expect is None:
            return self.usual()
        return self._corrected(self._expect(config))

    def usual(self) -> float | None:
        """Return the median of the latest trials' last rounds, None before the first."""
        recent = list(islice(reversed(self._last.values()), LOOK_BACK))
        return statistics.median(recent) if recent else None

    def quick(self, trials: Iterable[tuple[int, Config]]) -> float | None:
        """Return the seconds of a quick configuration's round: the lower quartile of `trials`, None without any."""
        if self._expect is None:
            return self.usual()
        known = sorted(self._corrected(self._of(number, config)) for number, config in trials)
        return known[len(known) // 4] if known else None

    def revision(self) -> str:
        """Return a note where rounds take much longer or shorter than planned, or than the last note said; else ""."""
        slower = math.exp(self._all.towards(0.0))
        if self._all.count < FEWEST or 1.0 / REVISED < slower / self._noted < REVISED:
            return ""
        self._noted = slower
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
