"""Configurations as points: how a search space becomes columns of numbers between 0 and 1."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, CategoricalDistribution

from automl.spaces.units import MIDDLE, to_unit

Array = NDArray[np.float64]

# Two configurations differ by this much where one has a parameter that the other lacks.
ABSENT_DISTANCE = 0.5
# Two different choices are as far apart as the ends of a range are from its middle, times the root of two.
CHOICE_DISTANCE = 0.7
MIN_ORDERED = 3


@dataclass(frozen=True)
class Dimension:
    """One parameter: its columns from `start` up to `stop`. `choices` are those of one that has no order."""

    distribution: BaseDistribution
    start: int
    choices: tuple[Any, ...] = ()
    ordered: tuple[Any, ...] = ()

    @property
    def stop(self) -> int:
        """Behind the last column: values, and last whether the parameter is there."""
        return self.start + max(len(self.choices), 1) + 1

    def fill(self, row: Array, value: Any) -> None:
        """Writes a value into a row of columns."""
        row[self.stop - 1] = ABSENT_DISTANCE
        if self.choices:
            row[self.start : self.stop - 1] = 0.0
            row[self.start + self.choices.index(value)] = CHOICE_DISTANCE / math.sqrt(2.0)
        elif self.ordered:
            row[self.start] = self.ordered.index(value) / (len(self.ordered) - 1)
        else:
            row[self.start] = to_unit(self.distribution, value)

    def clear(self, row: Array) -> None:
        """Writes that the parameter is absent."""
        row[self.start : self.stop] = 0.0
        if not self.choices:
            row[self.start] = MIDDLE


class Encoding:
    """The columns of all parameters of a space, inactive ones included.

    Numbers are scaled to the unit interval, on the scale of their range; choices that are numbers keep their
    order; other choices have a column each. A parameter that a configuration lacks stands at the middle of
    its range, and a column of its own says that it is not there. `groups[i]` is the parameter that column i
    belongs to: columns of one parameter share a length scale.
    """

    def __init__(self, distributions: Mapping[str, BaseDistribution]) -> None:
        self.distributions = dict(distributions)
        self.dimensions: dict[str, Dimension] = {}
        groups: list[int] = []
        for name, distribution in self.distributions.items():
            dimension = _dimension(distribution, len(groups))
            groups.extend([len(self.dimensions)] * (dimension.stop - dimension.start))
            self.dimensions[name] = dimension
        self.groups = np.array(groups, dtype=np.intp)
        self._empty = np.zeros(len(groups))
        for dimension in self.dimensions.values():
            dimension.clear(self._empty)

    def encode(self, rows: Sequence[Mapping[str, Any]]) -> Array:
        """Configurations, as Optuna's names and values: an array (rows, columns). Names that the space does
        not have are passed over.
        """
        out = np.tile(self._empty, (len(rows), 1))
        for row, params in zip(out, rows, strict=True):
            for name, value in params.items():
                dimension = self.dimensions.get(name)
                if dimension is not None:
                    dimension.fill(row, value)
        return out


def _dimension(distribution: BaseDistribution, start: int) -> Dimension:
    if not isinstance(distribution, CategoricalDistribution):
        return Dimension(distribution, start)
    choices = tuple(distribution.choices)
    numbers = [c for c in choices if isinstance(c, int | float) and not isinstance(c, bool)]
    if len(numbers) == len(choices) >= MIN_ORDERED:
        return Dimension(distribution, start, ordered=tuple(sorted(numbers)))
    return Dimension(distribution, start, choices=choices)
