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

ABSENT_DISTANCE = 0.5  # between a configuration with a parameter and one without it
CHOICE_DISTANCE = 0.7  # between two choices
MIN_ORDERED = 3  # numeric choices that are treated as a range


@dataclass(frozen=True)
class Dimension:
    """A parameter with the columns from `start` to `stop`. `choices` are unordered, `ordered` are numbers."""

    distribution: BaseDistribution
    start: int
    choices: tuple[Any, ...] = ()
    ordered: tuple[Any, ...] = ()

    @property
    def stop(self) -> int:
        """The end of the columns. The last one says whether the parameter is present."""
        return self.start + max(len(self.choices), 1) + 1

    def fill(self, row: Array, value: Any) -> None:
        """Write a value into a row."""
        row[self.stop - 1] = ABSENT_DISTANCE
        if self.choices:
            row[self.start : self.stop - 1] = 0.0
            row[self.start + self.choices.index(value)] = CHOICE_DISTANCE / math.sqrt(2.0)
        elif self.ordered:
            row[self.start] = self.ordered.index(value) / (len(self.ordered) - 1)
        else:
            row[self.start] = to_unit(self.distribution, value)

    def clear(self, row: Array) -> None:
        """Write that the parameter is absent."""
        row[self.start : self.stop] = 0.0
        if not self.choices:
            row[self.start] = MIDDLE


class Encoding:
    """The columns of all parameters of a space, inactive ones included.

    Numbers are scaled to the unit interval, on the scale of their range. Choices that are numbers keep their order;
    other choices have a column each. A parameter that a configuration lacks is at the middle of its range, with a
    column that marks it absent. `groups[i]` is the parameter of column i: its columns share a length scale.
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
        """Return configurations, given by Optuna's names, as an array (rows, columns). Unknown names are ignored."""
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
