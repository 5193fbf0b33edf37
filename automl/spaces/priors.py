"""What a person believes beforehand: where a good value lies, and which choices are the likelier ones.

The mass lies around the belief, and everything else stays possible, as in Hvarfner et al., "πBO: Augmenting Acquisition
Functions with User Beliefs" (ICLR 2022) and Mallik et al., "PriorBand" (NeurIPS 2023).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import NormalDist
from typing import Any, Protocol

# The deviation of a prior, as a share of the range on the parameter's own scale: of 1e-5 to 1e-1 it is 0.6 of a
# decade. PriorBand takes .25, with which a prior in the middle is hardly more than the range itself.
WIDTH = 0.15
_HIGHEST = 1.0 - 1e-9


class Prior(Protocol):
    """A belief about one parameter, as a map of the unit interval onto itself."""

    @property
    def value(self) -> Any:
        """The likeliest value, None where no single one is named."""

    def share(self, uniform: float) -> float:
        """For a number drawn evenly from 0 to 1, the place in the parameter's range, from 0 to below 1."""


@dataclass(frozen=True)
class Around:
    """A normal around `centre` on the unit scale of a range, cut off at its ends."""

    value: Any
    centre: float

    def share(self, uniform: float) -> float:
        """The quantile of the normal that was cut off."""
        normal, low, high = self._curve
        mass = min(max(low + uniform * (high - low), 1e-12), 1.0 - 1e-12)
        return min(max(normal.inv_cdf(mass), 0.0), _HIGHEST)

    @cached_property
    def _curve(self) -> tuple[NormalDist, float, float]:
        normal = NormalDist(self.centre, WIDTH)
        return normal, normal.cdf(0.0), normal.cdf(1.0)


@dataclass(frozen=True)
class Weighted:
    """Choices in the proportion of their weights; each has an equal part of the unit interval."""

    weights: tuple[float, ...]
    value: Any = None

    def share(self, uniform: float) -> float:
        """The middle of the part that belongs to the drawn choice."""
        left, count = uniform * math.fsum(self.weights), len(self.weights)
        for place, weight in enumerate(self.weights):
            left -= weight
            if left < 0:
                return (place + 0.5) / count
        return (count - 0.5) / count


def favouring(place: int, count: int) -> tuple[float, ...]:
    """Weights that make one of `count` choices `count` times as likely as each other: a little more than half."""
    return tuple(float(count) if other == place else 1.0 for other in range(count))


def parse_weights(weights: Any, count: int, where: str, problems: list[str]) -> tuple[float, ...]:
    """A weight for each of `count` choices; () where they cannot be read, which `problems` then says."""
    if not isinstance(weights, Sequence) or isinstance(weights, str) or len(weights) != count:
        problems.append(f"{where}.weights: must be a list of {count} numbers, one a choice, not {weights!r}")
        return ()
    wrong = [weight for weight in weights if not is_weight(weight)]
    if wrong:
        problems.append(
            f"{where}.weights: must be numbers above 0, not {wrong[0]!r}; leave a choice out that is not wanted"
        )
        return ()
    return tuple(float(weight) for weight in weights)


def is_weight(value: Any) -> bool:
    """Whether it is a finite number above 0."""
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and 0 < value < math.inf
        and math.isfinite(float(value))
    )


def family_prior(families: Sequence[str], weights: Mapping[str, float]) -> Weighted:
    """Families by their weights; one without has the weight 1."""
    return Weighted(tuple(weights.get(name, 1.0) for name in families))
