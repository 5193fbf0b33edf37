"""The loss of each task, on logits."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from automl.records import DatasetInfo, Task


def loss(
    logits: Tensor, targets: Tensor, task: Task, label_smoothing: float = 0.0, weights: Tensor | None = None
) -> Tensor:
    """Mean loss of a batch.

    `logits` is (B, n_outputs). `targets` is int64 (B,) or soft float (B, n_outputs) for classification
    (cross-entropy), 0/1 float (B, n_outputs) for multilabel (binary cross-entropy), float (B, n_outputs) for
    regression (smooth L1, so that a few mislabelled rows do not rule the gradient). `weights` (n_outputs,) is what
    a row of each class, or a label that applies, weighs; a regression has none.
    """
    logits = logits.float()
    if task == "classification":
        return F.cross_entropy(logits, targets, weight=weights, label_smoothing=label_smoothing)
    if task == "multilabel":
        smooth = targets * (1.0 - label_smoothing) + 0.5 * label_smoothing
        return F.binary_cross_entropy_with_logits(logits, smooth, pos_weight=weights)
    return F.smooth_l1_loss(logits, targets)


def to_scores(logits: Tensor, task: Task) -> Tensor:
    """Probabilities (classification: rows sum to 1; multilabel: each in 0..1) or predicted values (regression)."""
    logits = logits.float()
    if task == "classification":
        return logits.softmax(dim=1)
    if task == "multilabel":
        return torch.sigmoid(logits)
    return logits


def standardised(targets: Tensor, info: DatasetInfo) -> Tensor:
    """What the loss of a regression sees: targets (B, n_outputs) with mean 0 and deviation 1; others as they are."""
    if not info.target_std:
        return targets
    return (targets - targets.new_tensor(info.target_mean)) / targets.new_tensor(info.target_std)


def in_units(logits: Tensor, info: DatasetInfo) -> Tensor:
    """`to_scores`, for a regression in the units of the targets."""
    scores = to_scores(logits, info.task)
    if not info.target_std:
        return scores
    return scores * scores.new_tensor(info.target_std) + scores.new_tensor(info.target_mean)
