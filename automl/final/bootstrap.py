"""Values of a metric over bootstrap resamples of the rows (Efron 1979), for all resamples at once where possible.

scikit-learn takes 20 ms for some metrics of 2,000 rows, so that 400 resamples of four metrics would take longer than
scoring the holdout. Metrics of (true, predicted) class counts use resampled counts, which are multinomial. Metrics that
are means over rows use means of resampled rows.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from automl.records import Task
from automl.training.steps.metrics import compute, to_labels

Array = np.ndarray
BUDGET = 4_000_000  # rows in all resamples of one metric
SLOW_BUDGET = 250_000  # the same, if scikit-learn computes each resample
CHUNK = 1_000_000  # rows drawn at once


def resampled(name: str, targets: Array, scores: Array, task: Task, *, seed: int) -> Array:
    """Return the metric `name` of 40 to 400 resamples of the rows, as `training.steps.metrics.compute` defines it.

    A resample without a value gives NaN.
    """
    rng = np.random.default_rng(seed)
    fast = name in _OF_COUNTS or name in _OF_ROWS
    count = int(np.clip((BUDGET if fast else SLOW_BUDGET) // max(1, len(targets)), 40, 400))
    if task == "classification" and name in _OF_COUNTS:
        return _OF_COUNTS[name](*_counts(targets, to_labels(scores, task), count, rng))
    if name in _OF_ROWS and targets.shape == scores.shape or (name == "log_loss" and targets.ndim == 1):
        return _of_rows(name, targets, scores, count, rng)
    drawn = (rng.integers(0, len(targets), len(targets)) for _ in range(count))
    return np.array([compute(name, targets[rows], scores[rows], task) for rows in drawn])


def _counts(
    targets: Array, labels: Array, count: int, rng: np.random.Generator
) -> tuple[Array, Array, Array]:
    """Return for each resample and class: correct rows, rows of the class, rows predicted as it; (count, K)."""
    n = len(targets)
    pairs, seen = np.unique(np.stack([targets, labels]), axis=1, return_counts=True)
    drawn = rng.multinomial(n, seen / n, size=count).astype(float)
    classes = int(pairs.max()) + 1
    true, taken = np.eye(classes)[pairs[0]], np.eye(classes)[pairs[1]]
    return drawn @ (true * taken), drawn @ true, drawn @ taken


def _balanced_accuracy(right: Array, true: Array, taken: Array) -> Array:
    with np.errstate(invalid="ignore", divide="ignore"):
        recall = np.where(true > 0, right / true, 0.0)
    return np.asarray(recall.sum(axis=1) / (true > 0).sum(axis=1))


def _f1(right: Array, true: Array, taken: Array) -> Array:
    """Return the mean over the classes that occur in labels or predictions."""
    both = true + taken
    with np.errstate(invalid="ignore", divide="ignore"):
        each = np.where(both > 0, 2 * right / both, 0.0)
    return np.asarray(each.sum(axis=1) / (both > 0).sum(axis=1))


def _cohen_kappa(right: Array, true: Array, taken: Array) -> Array:
    n = true.sum(axis=1)
    by_chance = (true * taken).sum(axis=1) / n**2
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((right.sum(axis=1) / n - by_chance) / (1 - by_chance))


def _of_rows(name: str, targets: Array, scores: Array, count: int, rng: np.random.Generator) -> Array:
    parts, n = _OF_ROWS[name](targets, scores), len(targets)
    at_once = max(1, CHUNK // n)
    means = []
    for start in range(0, count, at_once):
        rows = rng.integers(0, n, (min(at_once, count - start), n))
        means.append(parts[rows].mean(axis=1))
    found = np.concatenate(means)
    return np.sqrt(found) if name == "rmse" else found


def _losses(targets: Array, scores: Array) -> Array:
    """Return the cross-entropy of each row, with probabilities clipped as scikit-learn does."""
    if targets.ndim == 2:
        clipped = np.clip(scores, 1e-7, 1 - 1e-7)
        return np.asarray(-(targets * np.log(clipped) + (1 - targets) * np.log(1 - clipped)).mean(axis=1))
    eps = np.finfo(scores.dtype).eps
    return np.asarray(-np.log(np.clip(scores[np.arange(len(targets)), targets], eps, 1 - eps)))


_OF_COUNTS: dict[str, Callable[[Array, Array, Array], Array]] = {
    "balanced_accuracy": _balanced_accuracy,
    "f1": _f1,
    "cohen_kappa": _cohen_kappa,
}
_OF_ROWS: dict[str, Callable[[Array, Array], Array]] = {
    "log_loss": _losses,
    "rmse": lambda t, s: ((t - s) ** 2).mean(axis=1),
    "mae": lambda t, s: np.abs(t - s).mean(axis=1),
}
