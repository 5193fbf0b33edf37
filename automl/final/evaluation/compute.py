"""Compute an evaluation from targets and scores."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import average_precision_score

from automl.final.evaluation.calibration import calibration, risk_coverage
from automl.final.evaluation.confusion import confusion_of
from automl.final.evaluation.record import ClassScore, Evaluation, MetricScore, SizeBin, TargetScore
from automl.final.intervals import interval
from automl.records import DatasetInfo, Task
from automl.training.steps.metrics import to_labels
from automl.training.steps.trivial import TrivialAnswer

Array = npt.NDArray[Any]
ALSO: dict[Task, tuple[str, ...]] = {
    "classification": ("accuracy", "balanced_accuracy", "f1", "log_loss"),
    "multilabel": ("average_precision", "f1"),
    "regression": ("rmse", "mae", "r2"),
}
THRESHOLD = 0.5  # of a label, in `to_labels`
SIZE_BINS, ROWS_EACH = 5, 5


@dataclass(frozen=True)
class Scored:
    """Outputs of a model on labelled rows: `scores` (n, n_outputs), `targets` as in `training.steps.metrics.compute`.

    `files` are the names of the rows.
    """

    files: tuple[str, ...]
    targets: Array
    scores: Array


def metric_names(metric: str, task: Task) -> list[str]:
    """Return the metrics of an evaluation: `metric` first, then the usual ones of the task."""
    return list(dict.fromkeys([metric, *ALSO[task]]))


def metric_scores(
    names: Iterable[str],
    targets: Array,
    scores: Array,
    task: Task,
    *,
    trivial: Callable[[str], TrivialAnswer],
    seed: int = 0,
) -> dict[str, MetricScore]:
    """Return each metric with its interval, and with what the answer `trivial(metric)` has on the same rows."""
    found = {}
    for name in names:
        value, answer = interval(name, targets, scores, task, seed=seed), trivial(name)
        beside = answer.score(name, targets, task)
        found[name] = MetricScore(value.value, value.low, value.high, beside, answer.words)
    return found


def evaluation_of(
    targets: Array, scores: Array, info: DatasetInfo, metric: str, metrics: Mapping[str, MetricScore]
) -> Evaluation:
    """Return the evaluation of a model's `scores` (n, n_outputs); `metrics` are those of `metric_scores`."""
    base = Evaluation(info.task, metric, len(targets), info.classes, dict(metrics))
    return _OF_TASK[info.task](base, targets, scores)


def _classification(base: Evaluation, targets: Array, scores: Array) -> Evaluation:
    k = len(base.classes)
    labels = to_labels(scores, "classification")
    right = np.bincount(targets[labels == targets], minlength=k)
    support, predicted = np.bincount(targets, minlength=k), np.bincount(labels, minlength=k)
    rows = zip(base.classes, right.tolist(), support.tolist(), predicted.tolist(), strict=True)
    return replace(
        base,
        per_class=tuple(_class_score(*row) for row in rows),
        confusion=confusion_of(targets, labels, base.classes),
        calibration=calibration(targets, scores),
        risk_coverage=risk_coverage(targets, scores),
    )


def _multilabel(base: Evaluation, targets: Array, scores: Array) -> Evaluation:
    said, given = to_labels(scores, "multilabel") > 0, targets > 0
    found = []
    for k, name in enumerate(base.classes):
        has = given[:, k]
        known = bool(has.any() and not has.all() and np.isfinite(scores[:, k]).all())
        precision = float(average_precision_score(has, scores[:, k])) if known else float("nan")
        counts = (int((said[:, k] & has).sum()), int(has.sum()), int(said[:, k].sum()))
        found.append(_class_score(name, *counts, average_precision=precision, threshold=THRESHOLD))
    return replace(base, per_class=tuple(found), calibration=calibration(targets, scores))


def _class_score(label: str, right: int, support: int, predicted: int, **more: float) -> ClassScore:
    def share(whole: int) -> float:
        return right / whole if whole else float("nan")

    both = support + predicted
    f1 = 2 * right / both if both else float("nan")
    return ClassScore(label, share(predicted), share(support), f1, support, predicted, **more)


def _regression(base: Evaluation, targets: Array, scores: Array) -> Evaluation:
    found = [
        _target_score(name, targets[:, k].astype(np.float64), scores[:, k].astype(np.float64))
        for k, name in enumerate(base.classes)
    ]
    return replace(base, targets=tuple(found))


def _target_score(name: str, targets: Array, values: Array) -> TargetScore:
    errors = values - targets
    spread = float(np.square(targets - targets.mean()).sum())
    squares = float(np.square(errors).sum())
    return TargetScore(
        target=name,
        r2=1.0 - squares / spread if spread > 0 and len(targets) > 1 else float("nan"),
        mae=float(np.abs(errors).mean()),
        rmse=float(np.sqrt(np.square(errors).mean())),
        bias=float(errors.mean()),
        bins=_size_bins(targets, errors),
    )


def _size_bins(targets: Array, errors: Array) -> tuple[SizeBin, ...]:
    """Return up to five bins of about equally many rows by target; equal targets share a bin."""
    n = len(targets)
    count = int(np.clip(n // ROWS_EACH, 1, SIZE_BINS))
    edges = np.unique(np.sort(targets)[np.arange(1, count) * n // count])
    number = np.searchsorted(edges, targets, side="right")
    bins = []
    for k in np.unique(number).tolist():
        inside, wrong = targets[number == k], errors[number == k]
        bins.append(
            SizeBin(
                float(inside.min()),
                float(inside.max()),
                len(inside),
                float(np.abs(wrong).mean()),
                float(wrong.mean()),
            )
        )
    return tuple(bins)


_OF_TASK: dict[Task, Callable[[Evaluation, Array, Array], Evaluation]] = {
    "classification": _classification,
    "multilabel": _multilabel,
    "regression": _regression,
}
