"""The trivial answer: the best score that a model can have that does not look at the images."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from automl.config.metrics import METRICS
from automl.records import DatasetInfo, Task
from automl.training.steps.metrics import compute

# For these metrics every constant answer has the same score, which is that of chance.
_CHANCE = frozenset({"balanced_accuracy", "cohen_kappa", "roc_auc", "average_precision"})


@dataclass(frozen=True)
class TrivialAnswer:
    """One answer for all images. `outputs` are its scores in the units of the targets; `words` say what it is."""

    outputs: tuple[float, ...]
    words: str

    def score(self, metric: str, targets: npt.NDArray[Any], task: Task) -> float:
        """Return the `metric` of this answer for `targets`, whose shapes are those of `metrics.compute`.

        NaN where the metric is not defined for these rows.
        """
        scores = np.tile(np.asarray(self.outputs, dtype=np.float64), (len(targets), 1))
        return compute(metric, np.asarray(targets), scores, task)


def trivial_answer(metric: str, targets: npt.NDArray[Any], info: DatasetInfo) -> TrivialAnswer:
    """Return the constant answer that is best by `metric` for the `targets` of the training rows.

    Classification: the share of each class, whose label is the majority class. Multilabel: the share of each label,
    every label, or none. Regression: the mean, or the median for mae. Raises KeyError for an unknown metric.
    """
    better = max if METRICS[metric].mode == "max" else min
    answers = list(_answers(metric, np.asarray(targets), info))
    if len(answers) == 1:
        return answers[0]
    return better(answers, key=lambda answer: answer.score(metric, targets, info.task))


def _answers(metric: str, targets: npt.NDArray[Any], info: DatasetInfo) -> Iterator[TrivialAnswer]:
    if info.task == "regression":
        values = np.median(targets, axis=0) if metric == "mae" else targets.mean(axis=0, dtype=np.float64)
        words = "the median" if metric == "mae" else "the mean"
        yield TrivialAnswer(tuple(float(value) for value in values), words)
        return
    if info.task == "classification":
        shares = np.bincount(targets.astype(np.int64), minlength=info.n_outputs) / max(1, len(targets))
        yield _of_shares(metric, shares, info)
        return
    yield _of_labels(metric, (targets > 0).mean(axis=0))
    if metric == "f1":
        yield _every_label(info)


def trivial_by_counts(metric: str, info: DatasetInfo) -> TrivialAnswer:
    """Return the constant answer for a model whose training targets are known by their counts and means alone.

    It is that of `trivial_answer`, except that a regression's is the mean by mae as well. Raises KeyError for an
    unknown metric.
    """
    if info.task == "regression":
        return TrivialAnswer(info.target_mean, "the mean")
    counts = np.array(info.class_counts, dtype=np.float64)
    if info.task == "classification":
        return _of_shares(metric, counts / max(1.0, counts.sum()), info)
    if metric == "f1":  # of the labels' shares it has at most this value
        return _every_label(info)
    return _of_labels(metric, np.minimum(1.0, counts / max(1, info.n_train)))


def _of_shares(metric: str, shares: npt.NDArray[np.float64], info: DatasetInfo) -> TrivialAnswer:
    words = f"always {info.classes[int(shares.argmax())]!r}"
    if metric in ("log_loss", "top5_accuracy"):
        words = "the shares of the classes" if metric == "log_loss" else "always the five largest classes"
    return TrivialAnswer(tuple(shares.tolist()), "chance" if metric in _CHANCE else words)


def _of_labels(metric: str, shares: npt.NDArray[np.float64]) -> TrivialAnswer:
    known = "chance" if metric in _CHANCE else "the shares of the labels"
    return TrivialAnswer(tuple(float(share) for share in shares), known)


def _every_label(info: DatasetInfo) -> TrivialAnswer:
    return TrivialAnswer((1.0,) * info.n_outputs, "always every label")
