"""The loss of each task, on logits."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from automl.records import Task


def loss(logits: Tensor, targets: Tensor, task: Task, label_smoothing: float = 0.0) -> Tensor:
    """Mean loss of a batch.

    `logits` is (B, n_outputs). `targets` is int64 (B,) or soft float (B, n_outputs) for classification
    (cross-entropy), 0/1 float (B, n_outputs) for multilabel (binary cross-entropy), float (B, n_outputs) for
    regression (smooth L1, so that a few mislabelled rows do not rule the gradient).
    """
    logits = logits.float()
    if task == "classification":
        return F.cross_entropy(logits, targets, label_smoothing=label_smoothing)
    if task == "multilabel":
        smooth = targets * (1.0 - label_smoothing) + 0.5 * label_smoothing
        return F.binary_cross_entropy_with_logits(logits, smooth)
    return F.smooth_l1_loss(logits, targets)


def to_scores(logits: Tensor, task: Task) -> Tensor:
    """Probabilities (classification: rows sum to 1; multilabel: each in 0..1) or predicted values (regression)."""
    logits = logits.float()
    if task == "classification":
        return logits.softmax(dim=1)
    if task == "multilabel":
        return torch.sigmoid(logits)
    return logits
