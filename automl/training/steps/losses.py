"""The loss of each task, on logits: always a mean over rows, so that micro-batches add up to the batch."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from automl.records import DatasetInfo, Task


def loss(
    logits: Tensor,
    targets: Tensor,
    task: Task,
    label_smoothing: float = 0.0,
    weights: Tensor | None = None,
    *,
    focal: float = 0.0,
) -> Tensor:
    """Return the mean loss of a batch.

    `logits` is (B, n_outputs). `targets` is int64 (B,) or soft float (B, n_outputs) for classification
    (cross-entropy), 0/1 float (B, n_outputs) for multilabel (binary cross-entropy), float (B, n_outputs) for
    regression (smooth L1, which limits the effect of wrong targets). `weights` (n_outputs,) are the weights of classes
    or labels. `focal` above 0 multiplies a row's loss by (1 - p)^focal, where p is the probability of its class (Lin et
    al. 2017). A regression has neither.
    """
    logits = logits.float()
    if task == "classification":
        return _cross_entropy(logits, targets, label_smoothing, weights, focal)
    if task == "multilabel":
        smooth = targets * (1.0 - label_smoothing) + 0.5 * label_smoothing
        if not focal:
            return F.binary_cross_entropy_with_logits(logits, smooth, pos_weight=weights)
        each = F.binary_cross_entropy_with_logits(logits, smooth, pos_weight=weights, reduction="none")
        p = logits.sigmoid()
        return (each * _complement(smooth * (1.0 - p) + (1.0 - smooth) * p) ** focal).mean()
    return F.smooth_l1_loss(logits, targets)


def _cross_entropy(
    logits: Tensor, targets: Tensor, label_smoothing: float, weights: Tensor | None, focal: float
) -> Tensor:
    if not focal and weights is None:
        return F.cross_entropy(logits, targets, label_smoothing=label_smoothing)
    if not focal:
        # torch's own mean divides by the sum of the weights, so micro-batches would not add up.
        each = F.cross_entropy(
            logits, targets, weight=weights, label_smoothing=label_smoothing, reduction="none"
        )
        return each.mean()
    n = logits.shape[1]
    soft = targets if targets.ndim == 2 else F.one_hot(targets, n).to(logits.dtype)
    soft = soft * (1.0 - label_smoothing) + label_smoothing / n
    if weights is not None:
        soft = soft * weights
    log_p = logits.log_softmax(dim=1)
    return -(soft * _complement(1.0 - log_p.exp()) ** focal * log_p).sum(dim=1).mean()


def _complement(share: Tensor) -> Tensor:
    """Return 1 - p, but at least 1e-6: at 0 a power below 1 has an infinite gradient."""
    return share.clamp(min=1e-6)


def to_scores(logits: Tensor, task: Task) -> Tensor:
    """Return probabilities (classification: rows sum to 1; multilabel: each in 0..1) or values (regression)."""
    logits = logits.float()
    if task == "classification":
        return logits.softmax(dim=1)
    if task == "multilabel":
        return torch.sigmoid(logits)
    return logits


def standardised(targets: Tensor, info: DatasetInfo) -> Tensor:
    """Return regression targets (B, n_outputs) with mean 0 and standard deviation 1; other targets unchanged."""
    if not info.target_std:
        return targets
    return (targets - targets.new_tensor(info.target_mean)) / targets.new_tensor(info.target_std)


def in_units(logits: Tensor, info: DatasetInfo) -> Tensor:
    """Return `to_scores`, for a regression in the units of the targets."""
    scores = to_scores(logits, info.task)
    if not info.target_std:
        return scores
    return scores * scores.new_tensor(info.target_std) + scores.new_tensor(info.target_mean)
