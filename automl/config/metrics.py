"""The metrics that a study can optimise; `automl.training.steps.metrics` computes them."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Literal

from automl.errors import ConfigError, unknown_name
from automl.records import Mode, Task

Needs = Literal["labels", "proba", "values"]


@dataclass(frozen=True)
class MetricSpec:
    """One metric. `needs`: predicted class labels, class probabilities, or predicted values (regression).

    `widest` is the largest difference that two values can have, infinite for one without bounds.
    """

    name: str
    mode: Mode
    tasks: tuple[Task, ...]
    needs: Needs
    description: str
    widest: float = 1.0

    def require_loss(self, most: float) -> None:
        """Raise ConfigError for a loss (`max_loss`) that is larger than this metric can lose."""
        if most > self.widest:
            raise ConfigError(
                f"max_loss must be at most {self.widest:g}, as {self.name} cannot lose more, got {most:g}; it is in "
                "the units of the metric: 0.02 allows two points"
            )


_CLASSES: tuple[Task, ...] = ("classification",)
_LABELS: tuple[Task, ...] = ("multilabel",)
_VALUES: tuple[Task, ...] = ("regression",)

_ROWS = (
    MetricSpec("accuracy", "max", _CLASSES, "labels", "share of images with the right class"),
    MetricSpec("average_precision", "max", _LABELS, "proba", "mean of the labels' average precisions"),
    MetricSpec("balanced_accuracy", "max", _CLASSES, "labels", "mean of the classes' recalls"),
    MetricSpec("cohen_kappa", "max", _CLASSES, "labels", "agreement beyond chance (Cohen, unweighted)", 2.0),
    MetricSpec("f1", "max", _CLASSES + _LABELS, "labels", "mean of the classes' F1 scores (macro)"),
    MetricSpec(
        "log_loss", "min", _CLASSES + _LABELS, "proba", "cross-entropy of the probabilities, in nats", inf
    ),
    MetricSpec("mae", "min", _VALUES, "values", "mean absolute error", inf),
    MetricSpec("r2", "max", _VALUES, "values", "share of the variance explained", inf),
    MetricSpec("rmse", "min", _VALUES, "values", "root of the mean squared error", inf),
    MetricSpec(
        "roc_auc", "max", _CLASSES + _LABELS, "proba", "area under the ROC curve, one class against the rest"
    ),
    MetricSpec(
        "top5_accuracy", "max", _CLASSES, "proba", "share of images with the right class in the top five"
    ),
)

METRICS: dict[str, MetricSpec] = {row.name: row for row in _ROWS}

_AUTO: dict[Task, str] = {
    "classification": "accuracy",
    "multilabel": "average_precision",
    "regression": "rmse",
}


def resolve_metric(name: str, task: Task, *, skewed: bool = False) -> MetricSpec:
    """Return the metric for a task; `auto` is accuracy, average_precision (multilabel) or rmse (regression).

    Where classes are `skewed`, `auto` is balanced_accuracy: accuracy says little about rare classes.
    Raises ConfigError for an unknown metric and for one that the task does not have.
    """
    if name == "auto":
        return METRICS["balanced_accuracy" if skewed and task == "classification" else _AUTO[task]]
    if name not in METRICS:
        raise ConfigError(unknown_name("metric", name, METRICS))
    spec = METRICS[name]
    if task not in spec.tasks:
        fitting = ", ".join(sorted(row.name for row in _ROWS if task in row.tasks))
        raise ConfigError(f"metric must fit the task {task!r}, got {name!r}; choose one of {fitting}")
    return spec
