"""The strength of the penalty, and whether mirror images help: by cross-validation on training rows."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from automl.machine import Moment
from automl.records import Task
from automl.training.heads.features import Features
from automl.training.heads.fit import Fitting, Linear, Problem, one_blas_thread, solve

# Inverse strengths of the L2 penalty (C of scikit-learn), the strongest penalty first.
STRENGTHS = (1e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 1.0, 10.0)
DEFAULT = 1e-2  # if there is no time
MOST_IMAGES = 1000
FOLDS = 5
_FITTED_IMAGES, _MOST_REPEATS = 1500, 3  # small data sets are split several times
_WORSE = 1.1  # times the least loss, from which weaker penalties are not tried

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Choice:
    """A strength, and views: 1 for images as they are, 2 with their mirror images."""

    strength: float
    views: int


@dataclass(frozen=True)
class _Split:
    """Images to fit on and images to score."""

    fitted: npt.NDArray[np.int64]
    scored: npt.NDArray[np.int64]


def choose(features: Features, problem: Problem, *, until: Moment, threads: int, seed: int) -> Choice:
    """Return the strength with the least loss for standardised training rows, and whether mirror images lessen it.

    At most MOST_IMAGES images are split into FOLDS, up to three times if they are few. Both views of an image are in
    the same part, and images are scored as they are. After the moment `until` the folds that are done count; without
    any, the strength is DEFAULT, and there is one view.
    """
    targets = problem.targets(features.targets)
    splits = list(_splits(targets, problem.info.task, np.random.default_rng([seed, len(targets)])))
    path = _Path(features.values, targets, problem, until)
    with one_blas_thread(), _single_threads(threads) as pool:
        tables = list(pool.map(lambda split: path.losses(split, 1, STRENGTHS), splits))
        # A path that the clock has cut short has NaN at its end.
        whole = [table for table in tables if not np.isnan(table).any()]
        if not whole:
            return Choice(_beyond(tables), 1)
        best = int(np.argmin(np.mean(whole, axis=0)))
        if features.views == 1:
            return Choice(STRENGTHS[best], 1)
        # The best strength is nearly the same for two views.
        others = list(pool.map(lambda split: path.losses(split, 2, STRENGTHS[best : best + 1])[0], splits))
    gains = [table[best] - other for table, other in zip(tables, others, strict=True)]
    known = [gain for gain in gains if math.isfinite(gain)]
    return Choice(STRENGTHS[best], 2 if known and float(np.mean(known)) > 0.0 else 1)


def _beyond(tables: Sequence[Array]) -> float:
    """Return the best strength of the longest path, none of which is whole; DEFAULT if it might be weaker still."""
    table = max(tables, key=lambda table: int(np.isfinite(table).sum()), default=np.array([]))
    known = table[~np.isnan(table)]
    best = int(np.argmin(known)) if len(known) else 0
    return STRENGTHS[best] if best < len(known) - 1 else max(STRENGTHS[best], DEFAULT)


def _single_threads(n: int) -> ThreadPoolExecutor:
    """Return threads in which operators of torch use one thread."""
    return ThreadPoolExecutor(n, initializer=torch.set_num_threads, initargs=(1,))


def stack(values: Array, images: Array, views: int) -> Array:
    """Return the rows (views * n, d) of these images in their first views, of features (views, all, d)."""
    return np.concatenate([values[view, images] for view in range(views)])


@dataclass(frozen=True)
class _Path:
    """Fits one strength after the other, each from the one before. `values` are (views, n, d)."""

    values: Array
    targets: Array
    problem: Problem
    until: Moment

    def losses(self, split: _Split, views: int, strengths: Sequence[float]) -> Array:
        """Return the loss on the scored images for each strength; NaN for those that were not reached in time.

        Where the loss only rises, weaker penalties, whose fits take longest, are not tried: they count as the last one.
        """
        found = np.full(len(strengths), np.nan)
        if self.until.passed():
            return found
        x = stack(self.values, split.fitted, views)
        y = np.concatenate([self.targets[split.fitted]] * views)
        others, wanted = self.values[0, split.scored], self.targets[split.scored]
        layer: Linear | None = None
        for k, strength in enumerate(strengths):
            how = Fitting(strength=strength, views=views, until=self.until, rough=True)
            layer = solve(self.problem, x, y, how, layer)
            loss = self.problem.loss(layer(others), wanted)
            found[k] = loss if math.isfinite(loss) else np.inf
            if k and found[k] > found[k - 1] and found[k] > _WORSE * found[:k].min():
                found[k:] = found[k]
                break
            if self.until.passed():
                break
        return found


def _splits(targets: Array, task: Task, rng: np.random.Generator) -> Iterator[_Split]:
    """Yield splits of at most MOST_IMAGES images in which all parts have about the same classes, or values."""
    n = min(len(targets), MOST_IMAGES)
    repeats = int(np.clip(_FITTED_IMAGES // max(1, n), 1, _MOST_REPEATS))
    folds = min(FOLDS, n)
    if folds < 2:
        return
    chosen = _in_order(targets, task, rng)
    if n < len(chosen):  # evenly over the classes
        chosen = chosen[np.linspace(0, len(chosen) - 1, num=n).astype(np.int64)]
    for _ in range(repeats):
        order = chosen[_in_order(targets[chosen], task, rng)]
        for fold in range(folds):
            scored = np.arange(n) % folds == fold
            yield _Split(order[~scored], order[scored])


def _in_order(targets: Array, task: Task, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Return places of rows in random order, but sorted by class, combination of labels, or first value."""
    shuffled = rng.permutation(len(targets))
    keys = targets[shuffled]
    if task == "multilabel":
        keys = np.unique(keys, axis=0, return_inverse=True)[1].reshape(-1)
    elif task == "regression":
        # Sorted values would give the same folds each time; ten groups of near values do not.
        ranks = np.argsort(np.argsort(keys[:, 0], kind="stable"), kind="stable")
        keys = ranks * 10 // max(1, len(keys))
    return np.asarray(shuffled[np.argsort(keys, kind="stable")])
