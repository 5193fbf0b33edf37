"""Priors: where a user expects a good value, and which choices are more likely to be good.

The probability mass is around the expected value, and all other values stay possible, as in Hvarfner et al., "πBO:
Augmenting Acquisition Functions with User Beliefs" (ICLR 2022) and Mallik et al., "PriorBand" (NeurIPS 2023).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import NormalDist
from typing import Any, Protocol

# Standard deviation of a prior, as a share of the range on the parameter's scale: 0.6 of a decade for 1e-5 to 1e-1.
# Fitted in docs/benchmarks/history.md, "Priors". PriorBand uses .25, which hardly differs from the range itself.
WIDTH = 0.15
_HIGHEST = 1.0 - 1e-9


class Prior(Protocol):
    """A prior of one parameter, as a map of the unit interval onto itself."""

    @property
    def value(self) -> Any:
        """The most likely value, None if no single one is named."""

    def share(self, uniform: float) -> float:
        """Map a uniform number from 0 to 1 to a position in the parameter's range, from 0 to below 1."""


@dataclass(frozen=True)
class NormalPrior:
    """A normal distribution around `centre` on the unit scale of a range, truncated at its ends."""

    value: Any
    centre: float

    def share(self, uniform: float) -> float:
        """Return the quantile of the truncated normal distribution."""
        normal, low, high = self._curve
        mass = min(max(low + uniform * (high - low), 1e-12), 1.0 - 1e-12)
        return min(max(normal.inv_cdf(mass), 0.0), _HIGHEST)

    @cached_property
    def _curve(self) -> tuple[NormalDist, float, float]:
        normal = NormalDist(self.centre, WIDTH)
        return normal, normal.cdf(0.0), normal.cdf(1.0)


@dataclass(frozen=True)
class WeightedPrior:
    """Choices in proportion to their weights; each has an equal part of the unit interval."""

    weights: tuple[float, ...]
    value: Any = None

    def share(self, uniform: float) -> float:
        """Return the middle of the part of the drawn choice."""
        left, count = uniform * math.fsum(self.weights), len(self.weights)
        for place, weight in enumerate(self.weights):
            left -= weight
            if left < 0:
                return (place + 0.5) / count
        return (count - 0.5) / count


def favouring(place: int, count: int) -> tuple[float, ...]:
    """Return weights that make one of `count` choices `count` times as likely as each other choice."""
    return tuple(float(count) if other == place else 1.0 for other in range(count))


def parse_weights(weights: Any, count: int, where: str, problems: list[str]) -> tuple[float, ...]:
    """Return a weight for each of `count` choices; () if they are invalid, which is added to `problems`."""
    if not isinstance(weights, Sequence) or isinstance(weights, str) or len(weights) != count:
        problems.append(
            f"{where}.weights: must be a list of {count} numbers, one per choice, not {weights!r}"
        )
        return ()
    wrong = [weight for weight in weights if not is_weight(weight)]
    if wrong:
        problems.append(
            f"{where}.weights: must be numbers above 0, not {wrong[0]!r}; to exclude a choice, remove it"
        )
        return ()
    return tuple(float(weight) for weight in weights)


def is_weight(value: Any) -> bool:
    """Return whether the value is a finite number above 0."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < math.inf


def family_prior(families: Sequence[str], weights: Mapping[str, float]) -> WeightedPrior:
    """Return the prior of the families; one without a weight has the weight 1."""
    return WeightedPrior(tuple(weights.get(name, 1.0) for name in families))
