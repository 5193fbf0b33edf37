"""The values of a study's trials as the model's data."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from optuna.trial import FrozenTrial, TrialState

from automl.search.sampling.curve_gp.encoding import Array, Encoding
from automl.spaces.draw import Params

CAP = 160  # points of the model: its time grows with their cube
CLIP = 1.5
HIGH_SHARE = 2 / 3


@dataclass(frozen=True)
class Trace:
    """A trial's parameters by Optuna's names, and its values by round."""

    number: int
    params: Mapping[str, Any]
    values: Mapping[int, float]


class Curves:
    """Every trial's value at some levels and at its last round; larger is better.

    `levels` are rounds, of which the last is the full length. Failed trials and values that are not finite are left
    out. A trial is a row of arrays, with a column for each level and one for its last round, and is read again only if
    it has new values: a suggestion must not loop over ten thousand trials.
    """

    def __init__(self, encoding: Encoding, levels: Sequence[int], rng: np.random.Generator) -> None:
        self._encoding = encoding
        self._columns = {round: column for column, round in enumerate(sorted(set(levels)))}
        self._max_rounds = max(levels)
        self._rng = rng
        self.running: dict[int, Params] = {}  # configurations of running trials, by number
        self._read: Sequence[FrozenTrial] = ()
        self._seen: dict[int, int] = {}
        self._rows: dict[int, int] = {}  # by the trial's number
        self._params: list[Params] = []
        self._points = np.empty((0, len(encoding.groups)))
        self._rounds = np.empty((0, len(self._columns) + 1))
        self._values = np.empty((0, len(self._columns) + 1))  # NaN: there is none

    @property
    def count(self) -> int:
        """The number of trials with a value."""
        return len(self._rows)

    def update(self, trials: Sequence[FrozenTrial], *, maximize: bool) -> None:
        """Take in new values. Optuna replaces a trial that changes, so the objects of the last call are skipped."""
        new = [trial for trial, known in zip(trials, self._read, strict=False) if trial is not known]
        for trial in [*new, *trials[len(self._read) :]]:
            if trial.state is TrialState.RUNNING:
                self.running[trial.number] = trial.params
            else:
                self.running.pop(trial.number, None)
            if trial.state is TrialState.FAIL:
                self._forget(trial.number)
            elif trial.intermediate_values and self._seen.get(trial.number) != len(trial.intermediate_values):
                self._seen[trial.number] = len(trial.intermediate_values)
                self.add(Trace(trial.number, trial.params, trial.intermediate_values), maximize=maximize)
        self._read = trials

    def add(self, trace: Trace, *, maximize: bool) -> bool:
        """Take in a trial, in place of its earlier values. Return whether it has a finite value."""
        sign = 1.0 if maximize else -1.0
        last, beyond = max(trace.values, default=0), len(self._columns)
        known = {
            self._columns.get(round, beyond): (round, sign * value)
            for round, value in trace.values.items()
            if math.isfinite(value) and (round == last or round in self._columns)
        }
        if known:
            row = self._row(trace.number)
            self._params[row] = dict(trace.params)
            self._points[row] = self._encoding.encode([trace.params])[0]
            self._values[row] = np.nan
            for column, (round, value) in known.items():
                self._rounds[row, column], self._values[row, column] = round, value
        return bool(known)

    def points(self) -> Array:
        """Return the configurations of all trials with a value, in the order of their arrival: (trials, columns)."""
        return self._points[list(self._rows.values())]

    def best(self, count: int) -> list[Params]:
        """Return the configurations with the best last values; equal ones in the order of their arrival."""
        size = len(self._params)
        reached = np.where(np.isnan(self._values[:size]), -1.0, self._rounds[:size])
        last = self._values[np.arange(size), reached.argmax(axis=1)]
        order = np.argsort(np.where(np.isnan(last), np.inf, -last), kind="stable")
        return [self._params[row] for row in order[: min(count, self.count)]]

    def data(self) -> tuple[Array, Array]:
        """Return points (rows, columns + 1) and standardised values.

        If there are too many, two thirds are those of late rounds, the best first, and the rest are drawn. Values far
        below the median are raised, so that a diverged trial does not set the scale.
        """
        rows, columns = np.nonzero(~np.isnan(self._values[: len(self._params)]))
        rounds, y = self._rounds[rows, columns], self._values[rows, columns]
        kept = self._kept(rounds, y)
        times = np.log(rounds[kept]) / max(math.log(self._max_rounds), 1e-9)
        x = np.hstack([self._points[rows[kept]], times[:, None]])
        y = y[kept]
        middle = float(np.median(y))
        y = np.maximum(y, middle - CLIP * (float(y.max()) - middle))
        return x, (y - y.mean()) / (y.std() + 1e-9)

    def _row(self, number: int) -> int:
        """Return the row of a trial, a new one if it has none."""
        row = self._rows.get(number)
        if row is None:
            row = self._rows[number] = len(self._params)
            self._params.append({})
            if row == len(self._values):
                self._points, self._rounds, self._values = map(
                    _with_room, (self._points, self._rounds, self._values)
                )
        return row

    def _forget(self, number: int) -> None:
        row = self._rows.pop(number, None)
        if row is not None:
            self._values[row] = np.nan

    def _kept(self, rounds: Array, y: Array) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
        if len(y) <= CAP:
            return np.arange(len(y))
        order = np.lexsort((-y, -rounds))
        high = order[: int(CAP * HIGH_SHARE)]
        rest = self._rng.choice(order[len(high) :], CAP - len(high), replace=False)
        return np.concatenate([high, np.sort(rest)])


def _with_room(array: Array) -> Array:
    """Return the array with twice as many rows."""
    return np.concatenate([array, np.full((max(len(array), 64), array.shape[1]), np.nan)])
