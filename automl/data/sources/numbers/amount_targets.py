"""Turn columns of numbers into the targets of a regression, and refuse those that single precision cannot hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from automl.data.sources.base import Targets
from automl.data.sources.cells import number
from automl.errors import DataError

_LARGEST = 1e30  # of an amount: far from the largest float32
_FINEST = 1e-30  # of a standard deviation: far from the smallest float32
_ROUNDING = 0.01  # of a standard deviation: what a target may lose as float32


def amount_targets(cells: Mapping[str, list[Any]]) -> tuple[tuple[str, ...], Targets]:
    """Return column names and the numbers in them, float32 (rows, columns).

    Raises DataError for a cell that is no finite number, for a column with one value in all rows, and for columns
    whose differences are lost in float32: those of tiny numbers, or around a large one.
    """
    rows = list(zip(*cells.values(), strict=True))
    for row in rows:
        for cell in row:
            value = number(cell)
            if value is None or not abs(value) <= _LARGEST:
                raise DataError(
                    f"a regression needs finite numbers, but {cell!r:.60} was given in {', '.join(cells)}: choose "
                    "another target, or the task 'classification'"
                )
    exact = np.array([[float(cell) for cell in row] for row in rows], dtype=np.float64)
    targets = exact.astype(np.float32)
    for name, column, stored in zip(cells, exact.T, targets.T, strict=True):
        _require_differences(name, column, stored)
    return tuple(cells), targets


def _require_differences(name: str, exact: npt.NDArray[np.float64], stored: npt.NDArray[np.float32]) -> None:
    """Raise DataError unless the numbers of a column differ, and differ nearly as much in single precision."""
    low, high, spread = float(exact.min()), float(exact.max()), float(exact.std())
    if low == high:
        raise DataError(
            f"a regression needs numbers that differ, but {name!r} is the same in every row: leave it out"
        )
    if spread < _FINEST:
        raise DataError(
            f"a regression needs numbers that differ by more than {_FINEST:g}, but those in {name!r} are {low:g} to "
            f"{high:g}: give them in a smaller unit"
        )
    if float(np.abs(exact - stored).max()) > _ROUNDING * spread:
        raise DataError(
            f"the numbers in {name!r} differ too little for their size ({low:.15g} to {high:.15g}) to be told apart "
            f"in single precision: subtract a number such as {low:.15g} from all of them"
        )
