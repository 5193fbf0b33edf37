"""Validation and holdout metrics, computed by scikit-learn.

It is loaded when the first metric is computed: a prediction needs none, and should not wait a second for it.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial

import numpy as np

from automl.config.metrics import METRICS
from automl.records import Task

Array = np.ndarray


def compute(name: str, targets: Array, scores: Array, task: Task) -> float:
    """Return the metric `name` of `scores` against `targets`.

    Classification: `targets` int (n,), `scores` probabilities (n, n_classes). Multilabel: both (n, n_labels), scores
    in 0..1. Regression: both (n, n_targets). NaN if the metric is not defined for these rows (an area under a
    curve with one class present). Raises KeyError for an unknown name.
    """
    if not np.isfinite(scores).all():
        return float("nan")
    import sklearn

    targets, scores = in_double(targets, scores, task)
    needs = METRICS[name].needs
    # scikit-learn's argument checks take longer than small metrics themselves.
    with warnings.catch_warnings(), sklearn.config_context(skip_parameter_validation=True):
        # scikit-learn warns of classes that were never predicted.
        warnings.simplefilter("ignore")
        try:
            if needs == "labels":
                return float(_ON_LABELS[name](targets, to_labels(scores, task)))
            return float(_ON_SCORES[name](targets, scores))
        except ValueError:
            return float("nan")


def in_double(targets: Array, scores: Array, task: Task) -> tuple[Array, Array]:
    """Return both as float64 for a regression: squares of amounts such as 1e20 or 1e-25 are beyond float32."""
    if task != "regression":
        return targets, scores
    return np.asarray(targets, dtype=np.float64), np.asarray(scores, dtype=np.float64)


def to_labels(scores: Array, task: Task) -> Array:
    """Return the predicted class, the labels with a score of 0.5 or more, or the values themselves."""
    if task == "classification":
        return np.asarray(scores.argmax(axis=1))
    return np.asarray(scores >= 0.5, dtype=np.int64) if task == "multilabel" else scores


def _roc_auc(targets: Array, scores: Array) -> float:
    from sklearn import metrics as sk

    if targets.ndim == 1 and scores.shape[1] == 2:
        return float(sk.roc_auc_score(targets, scores[:, 1]))
    if targets.ndim == 1:
        labels = np.arange(scores.shape[1])
        return float(sk.roc_auc_score(targets, scores, multi_class="ovr", labels=labels))
    return float(sk.roc_auc_score(targets, scores))


def _log_loss(targets: Array, scores: Array) -> float:
    if targets.ndim == 1:
        from sklearn import metrics as sk

        return float(sk.log_loss(targets, scores, labels=np.arange(scores.shape[1])))
    clipped = np.clip(scores, 1e-7, 1 - 1e-7)
    return float(-(targets * np.log(clipped) + (1 - targets) * np.log(1 - clipped)).mean())


def _average_precision(targets: Array, scores: Array) -> float:
    from sklearn import metrics as sk

    onehot = np.eye(scores.shape[1])[targets] if targets.ndim == 1 else targets
    present = onehot.any(axis=0)
    return float(sk.average_precision_score(onehot[:, present], scores[:, present], average="macro"))


def _top5(targets: Array, scores: Array) -> float:
    from sklearn import metrics as sk

    return float(
        sk.top_k_accuracy_score(
            targets, scores, k=min(5, scores.shape[1] - 1), labels=np.arange(scores.shape[1])
        )
    )


def _by_name(name: str) -> Callable[..., float]:
    """Return a function of `sklearn.metrics` that is looked up when it is called."""

    def compute(targets: Array, given: Array, **options: object) -> float:
        from sklearn import metrics as sk

        return float(getattr(sk, name)(targets, given, **options))

    return compute


_ON_LABELS: dict[str, Callable[[Array, Array], float]] = {
    "accuracy": _by_name("accuracy_score"),
    "balanced_accuracy": _by_name("balanced_accuracy_score"),
    "f1": partial(_by_name("f1_score"), average="macro", zero_division=0.0),
    "cohen_kappa": _by_name("cohen_kappa_score"),
}
_ON_SCORES: dict[str, Callable[[Array, Array], float]] = {
    "log_loss": _log_loss,
    "roc_auc": _roc_auc,
    "top5_accuracy": _top5,
    "average_precision": _average_precision,
    "rmse": lambda targets, scores: float(np.sqrt(_by_name("mean_squared_error")(targets, scores))),
    "mae": _by_name("mean_absolute_error"),
    "r2": _by_name("r2_score"),
}
