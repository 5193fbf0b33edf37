"""Maps between the values of a parameter and the unit interval."""

from __future__ import annotations

import math
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

# The share of a value where a range has a single one, or where a configuration lacks the parameter.
MIDDLE = 0.5
_NUMBERS = (FloatDistribution, IntDistribution)


def to_unit(distribution: BaseDistribution, value: Any) -> float:
    """Where a number lies in its range, from 0 to 1, on a logarithmic scale if the range has one."""
    if not isinstance(distribution, _NUMBERS):
        raise TypeError(f"a range of numbers is needed, got {distribution!r}")
    low, high = float(distribution.low), float(distribution.high)
    if high <= low:
        return MIDDLE
    if distribution.log:
        return (math.log(value) - math.log(low)) / (math.log(high) - math.log(low))
    return (float(value) - low) / (high - low)


def from_unit(distribution: BaseDistribution, share: float) -> Any:
    """The value at a share of a range, 0 to 1; whole numbers and steps get equal parts of it; a choice is
    drawn by its place.
    """
    if isinstance(distribution, CategoricalDistribution):
        count = len(distribution.choices)
        return distribution.choices[min(int(share * count), count - 1)]
    if not isinstance(distribution, _NUMBERS):
        raise TypeError(f"the distribution must be one of Optuna's three kinds, got {distribution!r}")
    low, high = float(distribution.low), float(distribution.high)
    whole = isinstance(distribution, IntDistribution)
    step = distribution.step if not (whole and distribution.log) else 1
    if step and not distribution.log:
        count = round((high - low) / step) + 1
        place = min(int(share * count), count - 1)
        value = min(low + place * step, high)
    elif distribution.log:
        edge = 0.5 if whole else 0.0
        first, last = math.log(low - edge), math.log(high + edge)
        value = math.exp(first + share * (last - first))
    else:
        value = low + share * (high - low)
    value = min(max(value, low), high)
    return int(min(max(round(value), distribution.low), distribution.high)) if whole else value
