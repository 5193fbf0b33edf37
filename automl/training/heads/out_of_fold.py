"""Heads by cross-validation: each row is answered by a head that was fitted without it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from automl.data.folds import RowFolds
from automl.machine import Moment
from automl.records import DatasetInfo
from automl.training.evaluate import Answers, score

Array = npt.NDArray[Any]
Index = npt.NDArray[np.int64]
# Takes positions of rows to fit on, and returns a function from positions to outputs (m, n_outputs).
FitOn = Callable[[Index], Callable[[Index], Array]]


@dataclass(frozen=True)
class OutOfFold:
    """What a cross-validation says of a head.

    `rows` (n,) are sorted rows of the data, `outputs` (n, n_outputs) those of the first repeat for them, `targets`
    (n, ...) theirs. `values` has the metric over the outputs of each repeat. There are so many `folds`.
    """

    rows: Index
    outputs: Array
    targets: Array
    values: tuple[float, ...]
    folds: int

    @property
    def answers(self) -> Answers:
        """The outputs of the first repeat as answers."""
        return Answers(self.tensor, torch.from_numpy(self.targets), self.rows)

    @property
    def tensor(self) -> Tensor:
        """The outputs as float32."""
        return torch.from_numpy(np.ascontiguousarray(self.outputs)).float()

    @property
    def value(self) -> float:
        """The mean over repeats."""
        return float(np.mean(self.values))


def cross_validate(
    rows: Index,
    targets: Tensor,
    folds: RowFolds,
    fit: FitOn,
    *,
    info: DatasetInfo,
    metric: str,
    until: Moment,
) -> OutOfFold | None:
    """Fit on all folds but one and answer for that one, for each fold and repeat, until the moment `until`.

    `rows` (n,) are the rows of the data with these `targets` (n, ...); `fit` takes their positions. The metric is over
    the outputs of all folds, not a mean of folds. Repeats without time are left out. Returns None if that is the first
    one, or its metric is not finite.
    """
    of_rows, values = folds.of_rows(rows), list[float]()
    first: tuple[Index, Array] | None = None
    for repeat in of_rows:
        answered = _answers(repeat, fit, until)
        if answered is None:
            break
        places, outputs = answered
        logits = torch.from_numpy(np.ascontiguousarray(outputs)).float()
        value = score(logits, targets[torch.from_numpy(places)], info, metric)[metric]
        if not math.isfinite(value):
            break
        values.append(value)
        first = first or answered
    if first is None:
        return None
    places, outputs = first
    order = np.argsort(rows[places])
    places, outputs = places[order], outputs[order]
    return OutOfFold(rows[places], outputs, targets.numpy()[places], tuple(values), int(of_rows[0].max()))


def _answers(repeat: Index, fit: FitOn, until: Moment) -> tuple[Index, Array] | None:
    """Return positions and outputs of the rows of all folds; None if the time ends before."""
    places, outputs = list[Index](), list[Array]()
    for fold in range(1, int(repeat.max(initial=0)) + 1):
        scored = np.flatnonzero(repeat == fold)
        if until.passed():
            return None
        if len(scored):
            places.append(scored)
            outputs.append(fit(np.flatnonzero(repeat != fold))(scored))
    return (np.concatenate(places), np.concatenate(outputs)) if places else None
