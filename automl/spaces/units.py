"""Map the values of a parameter to the unit interval and back."""

from __future__ import annotations

import math
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

# The position if a range has a single value, or if a configuration lacks the parameter.
MIDDLE = 0.5
_NUMBERS = (FloatDistribution, IntDistribution)


def to_unit(distribution: BaseDistribution, value: Any) -> float:
    """Return the position of a number in its range, from 0 to 1, on the scale of the range."""
    if not isinstance(distribution, _NUMBERS):
        raise TypeError(f"the distribution must be a range of numbers, not {distribution!r}")
    low, high = float(distribution.low), float(distribution.high)
    if high <= low:
        return MIDDLE
    if distribution.log:
        return (math.log(value) - math.log(low)) / (math.log(high) - math.log(low))
    return (float(value) - low) / (high - low)


def from_unit(distribution: BaseDistribution, share: float) -> Any:
    """Return the value at a position from 0 to 1; integers, steps and choices get equal parts of the interval."""
    if isinstance(distribution, CategoricalDistribution):
        count = len(distribution.choices)
        return distribution.choices[min(int(share * count), count - 1)]
    if not isinstance(distribution, _NUMBERS):
        raise TypeError(f"the distribution must be one of Optuna's three kinds, not {distribution!r}")
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
