"""The values of a study's trials as points of the model."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from optuna.trial import FrozenTrial, TrialState

from automl.search.curve_gp.draws import Params
from automl.search.curve_gp.encoding import Array, Encoding

CAP = 160
CLIP = 1.5
HIGH_SHARE = 2 / 3


@dataclass(frozen=True)
class Trace:
    """A trial's parameters, by Optuna's names, and its values by epoch."""

    number: int
    params: Mapping[str, Any]
    values: Mapping[int, float]


class Curves:
    """Every trial's value at some levels, and at the last epoch that it reached; larger is better.

    `levels` are epochs, of which the last is the full length.

    Trials are read again only where they got further. Failed trials and values that are not finite are left
    out.
    """

    def __init__(self, encoding: Encoding, levels: Sequence[int], rng: np.random.Generator) -> None:
        self._encoding = encoding
        self._levels = frozenset(levels)
        self._max_epochs = max(levels)
        self._rng = rng
        self._points: dict[int, Array] = {}
        self._params: dict[int, Params] = {}
        self._values: dict[int, dict[int, float]] = {}
        self._seen: dict[int, int] = {}

    @property
    def count(self) -> int:
        """How many trials have a value."""
        return len(self._values)

    def update(self, trials: Sequence[FrozenTrial], *, maximize: bool) -> None:
        """Takes in what is new."""
        for trial in trials:
            if trial.state is TrialState.FAIL:
                self._values.pop(trial.number, None)
            elif trial.intermediate_values and self._seen.get(trial.number) != len(trial.intermediate_values):
                self._seen[trial.number] = len(trial.intermediate_values)
                self.add(Trace(trial.number, trial.params, trial.intermediate_values), maximize=maximize)

    def add(self, trace: Trace, *, maximize: bool) -> bool:
        """Takes a trial in, in place of what was known of it; says whether it has any finite value."""
        sign = 1.0 if maximize else -1.0
        last = max(trace.values, default=0)
        known = {
            epoch: sign * value
            for epoch, value in trace.values.items()
            if math.isfinite(value) and (epoch == last or epoch in self._levels)
        }
        if known:
            self._values[trace.number] = known
            self._params[trace.number] = dict(trace.params)
            self._points[trace.number] = self._encoding.encode([trace.params])[0]
        return bool(known)

    def points(self) -> Array:
        """The configurations of all trials with a value, in the order in which they came: (trials, columns)."""
        return np.array([self._points[number] for number in self._values])

    def best(self, count: int) -> list[Params]:
        """The configurations of the best last values."""
        ranked = sorted(self._values, key=lambda number: -_last(self._values[number]))
        return [self._params[number] for number in ranked[:count]]

    def data(self) -> tuple[Array, Array]:
        """Points (rows, columns + 1) and values, standardised.

        Where there are too many, those of late epochs are kept first, among them the best, and the rest are
        drawn. Values far below the median are raised: a crashed run must not set the scale.
        """
        rows = [
            (number, epoch, value) for number, known in self._values.items() for epoch, value in known.items()
        ]
        epochs = np.array([row[1] for row in rows], dtype=float)
        y = np.array([row[2] for row in rows])
        kept = self._kept(epochs, y)
        times = np.log(epochs[kept]) / max(math.log(self._max_epochs), 1e-9)
        x = np.hstack([np.array([self._points[rows[i][0]] for i in kept]), times[:, None]])
        y = y[kept]
        middle = float(np.median(y))
        y = np.maximum(y, middle - CLIP * (float(y.max()) - middle))
        return x, (y - y.mean()) / (y.std() + 1e-9)

    def _kept(self, epochs: Array, y: Array) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
        if len(y) <= CAP:
            return np.arange(len(y))
        order = np.lexsort((-y, -epochs))
        high = order[: int(CAP * HIGH_SHARE)]
        rest = self._rng.choice(order[len(high) :], CAP - len(high), replace=False)
        return np.concatenate([high, np.sort(rest)])


def _last(known: Mapping[int, float]) -> float:
    return known[max(known)]
