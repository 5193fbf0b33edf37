"""Metrics of rows that count several times or not at all, for many such resamples of the same rows at once.

scikit-learn takes 2 to 20 ms for one resample, so that some hundred of four metrics would take longer than scoring the
holdout. Here the rows are sorted or counted once for all resamples. Values are those that
`training.steps.metrics.compute` has for the repeated rows.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from automl.records import Task
from automl.training.steps.metrics import in_double, to_labels

Array = npt.NDArray[np.float64]
_TINY = 1e-12  # a variance of that share of the mean square is rounding


def weighted(name: str, targets: np.ndarray, scores: np.ndarray, task: Task, weights: np.ndarray) -> Array:
    """Return the metric `name` (count,) of n rows, each taken as often as `weights` (count, n) say.

    `targets` and `scores` are as `compute` takes them. NaN where the metric is not defined for a resample.
    Raises KeyError for an unknown metric.
    """
    weights = np.asarray(weights, dtype=np.float64)
    if not np.isfinite(scores).all():
        return np.full(len(weights), np.nan)
    targets, scores = in_double(targets, scores, task)
    if task == "classification" and counts_classes(name):
        return weighted_labels(name, targets, to_labels(scores, task), weights)
    if name in _OF_ROWS:
        found = (weights @ _OF_ROWS[name](targets, scores)) / weights.sum(axis=1)
        return np.asarray(np.sqrt(found) if name == "rmse" else found)
    return _OTHERS[name](targets, scores, weights)


def weighted_labels(name: str, true: np.ndarray, taken: np.ndarray, weights: Array) -> Array:
    """Return a metric of class counts (count,) of n true and predicted classes, each as often as `weights` say."""
    every = np.eye(int(max(true.max(), taken.max())) + 1)
    right = every[true] * every[taken]
    return _OF_COUNTS[name](weights @ right, weights @ every[true], weights @ every[taken])


def counts_classes(name: str) -> bool:
    """Return whether a metric of a classification depends on counts of (true, predicted) classes alone."""
    return name in _OF_COUNTS


def is_ranked(name: str) -> bool:
    """Return whether a metric sorts the rows for each output, which takes longer than counting them."""
    return name in ("average_precision", "roc_auc")


def _balanced_accuracy(right: Array, true: Array, taken: Array) -> Array:
    recall = _ratio(right, true, 0.0)
    return np.asarray(recall.sum(axis=1) / (true > 0).sum(axis=1))


def _f1(right: Array, true: Array, taken: Array) -> Array:
    """Return the mean over the classes that occur in labels or predictions."""
    both = true + taken
    each = _ratio(2 * right, both, 0.0)
    return np.asarray(each.sum(axis=1) / (both > 0).sum(axis=1))


def _cohen_kappa(right: Array, true: Array, taken: Array) -> Array:
    n = true.sum(axis=1)
    by_chance = (true * taken).sum(axis=1) / n**2
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((right.sum(axis=1) / n - by_chance) / (1 - by_chance))


def _f1_of_labels(targets: np.ndarray, scores: np.ndarray, weights: Array) -> Array:
    """Return the mean over all labels; one that occurs neither in targets nor in predictions counts 0."""
    taken = to_labels(scores, "multilabel")
    both = weights @ (targets + taken)
    right = weights @ (targets * taken).astype(np.float64)
    return np.asarray(_ratio(2 * right, both, 0.0).mean(axis=1))


def _r2(targets: np.ndarray, scores: np.ndarray, weights: Array) -> Array:
    centred = targets - targets.mean(axis=0)
    n, squares = weights.sum(axis=1, keepdims=True), weights @ centred**2
    total = squares - (weights @ centred) ** 2 / n
    errors = weights @ (targets - scores) ** 2
    constant = total <= _TINY * squares
    found = 1.0 - errors / np.where(constant, 1.0, total)
    return np.asarray(np.where(constant, np.where(errors > 0, 0.0, 1.0), found).mean(axis=1))


def _average_precision(targets: np.ndarray, scores: np.ndarray, weights: Array) -> Array:
    """Return the mean over the labels that a resample has, by the steps of their precision-recall curves."""
    drawn = np.ascontiguousarray(weights.T)
    each = np.stack([_step_area(*column, drawn) for column in _columns(targets, scores)])
    present = np.isfinite(each)
    sums, counts = np.where(present, each, 0.0).sum(axis=0), present.sum(axis=0)
    return _ratio(sums, counts, np.nan)


def _step_area(target: np.ndarray, score: np.ndarray, drawn: Array) -> Array:
    """Return the average precision of one label for `drawn` (n, count); NaN for a resample without it."""
    order = np.argsort(-score, kind="stable")
    places = np.flatnonzero(target[order])
    if not len(places):
        return np.full(drawn.shape[1], np.nan)
    _, last = _tied(score[order])
    positive = drawn[order[places]]
    # Precision at the last row of equal scores.
    seen = drawn[order].cumsum(axis=0)[last[places]]
    found = positive.cumsum(axis=0)
    at_last = found[np.searchsorted(places, last[places], side="right") - 1]
    area = (positive * _ratio(at_last, seen, 0.0)).sum(axis=0)
    return _ratio(area, found[-1], np.nan)


def _roc_auc(targets: np.ndarray, scores: np.ndarray, weights: Array) -> Array:
    """Return the mean of the areas of one output against the rest; NaN for a resample that lacks one."""
    drawn, columns = np.ascontiguousarray(weights.T), _columns(targets, scores)
    if targets.ndim == 1 and scores.shape[1] == 2:
        columns = columns[1:]
    return np.asarray(np.mean([_rank_area(*column, drawn) for column in columns], axis=0))


def _rank_area(target: np.ndarray, score: np.ndarray, drawn: Array) -> Array:
    """Return the share of pairs that are ranked rightly, equal scores for a half (Mann and Whitney 1947)."""
    order = np.argsort(score, kind="stable")
    known = target[order] > 0
    first, last = _tied(score[order])
    positive = drawn[order[known]]
    negatives = np.zeros((len(order) + 1, drawn.shape[1]))
    np.cumsum(drawn[order] * ~known[:, None], axis=0, out=negatives[1:])
    below = (negatives[first[known]] + negatives[last[known] + 1]) / 2
    pairs = positive.sum(axis=0) * negatives[-1]
    return _ratio((positive * below).sum(axis=0), pairs, np.nan)


def _tied(ordered: np.ndarray) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return for each of the sorted scores the places of the first and of the last one that equals it."""
    new = np.r_[True, np.diff(ordered) != 0]
    first = np.flatnonzero(new)
    group = np.cumsum(new) - 1
    return first[group], np.r_[first[1:] - 1, len(ordered) - 1][group]


def _columns(targets: np.ndarray, scores: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return targets of 0 and 1 and scores of each output."""
    known = np.eye(scores.shape[1])[targets] if targets.ndim == 1 else targets
    return list(zip(known.T, scores.T, strict=True))


def _ratio(above: Array, below: Array, otherwise: float) -> Array:
    """Return the quotient, and `otherwise` where the divisor is 0."""
    found = np.full(np.shape(above), otherwise)
    np.divide(above, below, out=found, where=below > 0)
    return found


def _losses(targets: np.ndarray, scores: np.ndarray) -> Array:
    """Return the cross-entropy of each row, with probabilities clipped as scikit-learn does."""
    if targets.ndim == 2:
        clipped = np.clip(scores, 1e-7, 1 - 1e-7)
        return np.asarray(-(targets * np.log(clipped) + (1 - targets) * np.log(1 - clipped)).mean(axis=1))
    eps = np.finfo(scores.dtype).eps
    return np.asarray(-np.log(np.clip(scores[np.arange(len(targets)), targets], eps, 1 - eps)))


def _in_top5(targets: np.ndarray, scores: np.ndarray) -> Array:
    best = np.argsort(scores, axis=1, kind="stable")[:, ::-1][:, : min(5, scores.shape[1] - 1)]
    return np.asarray((best == targets[:, None]).any(axis=1), dtype=np.float64)


def _right(targets: np.ndarray, scores: np.ndarray) -> Array:
    return np.asarray(scores.argmax(axis=1) == targets, dtype=np.float64)


# From (true and predicted, true, predicted) counts of each resample and class, (count, n_classes) each.
_OF_COUNTS: dict[str, Callable[[Array, Array, Array], Array]] = {
    "balanced_accuracy": _balanced_accuracy,
    "f1": _f1,
    "cohen_kappa": _cohen_kappa,
}
_OF_ROWS: dict[str, Callable[[np.ndarray, np.ndarray], Array]] = {
    "accuracy": _right,
    "log_loss": _losses,
    "mae": lambda t, s: np.abs(t - s).mean(axis=1),
    "rmse": lambda t, s: ((t - s) ** 2).mean(axis=1),
    "top5_accuracy": _in_top5,
}
_OTHERS: dict[str, Callable[[np.ndarray, np.ndarray, Array], Array]] = {
    "average_precision": _average_precision,
    "f1": _f1_of_labels,
    "r2": _r2,
    "roc_auc": _roc_auc,
}
