"""Stratify rows with several labels each, and rows with numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

# Enough bins to keep the shape of a distribution, and enough rows in each bin to divide it.
_MOST_BINS = 10
_ROWS_A_BIN = 10


@dataclass(frozen=True)
class Unit:
    """Rows that stay together: their number, and the number of them with each label."""

    name: str
    rows: int
    labels: Counter[str]


def draw_labels(units: Sequence[Unit], fraction: float) -> set[str]:
    """Return the names of units that hold about `fraction` of the rows and of the rows of each label.

    This is iterative stratification (Sechidis, Tsoumakas & Vlahavas 2011) into two parts. It takes the rarest label
    first and gives each unit to the part that lacks more of that label. Ties follow the order of `units`. Every label
    keeps a row outside of the part that is drawn.
    """
    left: Counter[str] = Counter()
    for unit in units:
        left.update(unit.labels)
    wanted = {label: fraction * n for label, n in left.items()}
    rows_wanted = fraction * sum(unit.rows for unit in units)
    waiting = {unit.name: unit for unit in units}
    open_rows = left.copy()  # of each label, in units that have no part yet
    drawn: set[str] = set()

    def place(unit: Unit, lacks: float) -> None:
        nonlocal rows_wanted
        del waiting[unit.name]
        open_rows.subtract(unit.labels)
        if (
            lacks <= 0
            or rows_wanted < unit.rows / 2
            or any(left[label] - n < 1 for label, n in unit.labels.items())
        ):
            return
        drawn.add(unit.name)
        rows_wanted -= unit.rows
        left.subtract(unit.labels)
        for label, n in unit.labels.items():
            wanted[label] -= n

    while any(n > 0 for n in open_rows.values()):
        rarest = min((n, label) for label, n in open_rows.items() if n > 0)[1]
        for unit in [unit for unit in waiting.values() if unit.labels[rarest]]:
            place(unit, wanted[rarest] - unit.labels[rarest] / 2)
    for unit in list(waiting.values()):
        place(unit, rows_wanted - unit.rows / 2 + 1e-9)
    return drawn


def draw_folds(units: Sequence[Unit], folds: int) -> dict[str, int]:
    """Return a fold, 1 to `folds`, for each unit, with about the same rows of each label in all folds.

    This is iterative stratification (Sechidis, Tsoumakas & Vlahavas 2011): the rarest label first, the largest units
    first, each into the fold that lacks most of that label. Ties follow the order of `units`. A unit that holds all
    rows of a label gets 0: it is never left out of a training.
    """
    holders: Counter[str] = Counter(label for unit in units for label in unit.labels)
    found = {unit.name: 0 for unit in units}
    waiting = [unit for unit in units if all(holders[label] > 1 for label in unit.labels)]
    open_rows: Counter[str] = Counter()
    for unit in waiting:
        open_rows.update(unit.labels)
    lacks = [{label: n / folds for label, n in open_rows.items()} for _ in range(folds)]
    rows_lack = [sum(unit.rows for unit in waiting) / folds] * folds
    while waiting:
        rarest = min(((n, label) for label, n in open_rows.items() if n > 0), default=(0, ""))[1]
        now = [unit for unit in waiting if unit.labels[rarest] or not rarest]
        for unit in sorted(now, key=lambda unit: -unit.rows):
            fold = max(range(folds), key=lambda k: (lacks[k].get(rarest, 0.0), rows_lack[k], -k))
            found[unit.name] = fold + 1
            rows_lack[fold] -= unit.rows
            open_rows.subtract(unit.labels)
            for label, n in unit.labels.items():
                lacks[fold][label] -= n
        placed = {unit.name for unit in now}
        waiting = [unit for unit in waiting if unit.name not in placed]
    return _with_all_labels(units, found)


def _with_all_labels(units: Sequence[Unit], folds: dict[str, int]) -> dict[str, int]:
    """Return the folds, with 0 for units that hold all rows of a label in one fold: the others could not learn it."""
    places: dict[str, set[int]] = {}
    for unit in units:
        for label in unit.labels:
            places.setdefault(label, set()).add(folds[unit.name])
    alone = {label for label, found in places.items() if len(found) == 1}
    return {unit.name: 0 if alone & unit.labels.keys() else folds[unit.name] for unit in units}


def value_bins(targets: npt.NDArray[Any]) -> list[str]:
    """Return the bin of each row of (N, outputs) numbers: a quantile of the mean of the standardized columns.

    There are at most ten bins with about ten rows each; rows of equal values share a bin.
    """
    targets = np.asarray(targets, dtype=np.float64)  # squares of 1e20 are beyond float32
    spread = targets.std(axis=0)
    values = ((targets - targets.mean(axis=0)) / np.where(spread > 0, spread, 1)).mean(axis=1)
    bins = int(np.clip(len(values) // _ROWS_A_BIN, 1, _MOST_BINS))
    edges = np.unique(np.quantile(values, np.linspace(0, 1, bins + 1)[1:-1]))
    return [f"bin {k:02d}" for k in np.searchsorted(edges, values, side="right")]
