"""What a student learns by: how far its answers are from those of its teacher."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from automl.records import Task

_TINY = 1e-7  # probabilities below are as good as 0


def distillation_loss(logits: Tensor, taught: Tensor, task: Task, temperature: float = 1.0) -> Tensor:
    """Return how far the logits of a student (B, n_outputs) are from those of its teacher, as a mean over the rows.

    Classification: the Kullback-Leibler divergence between the probabilities of both at `temperature`, times the square
    of the temperature, so that gradients keep their size (Hinton, Vinyals and Dean 2015, "Distilling the knowledge in a
    neural network", section 2). Multilabel: the same for each label, as a mean over the labels. Regression: the squared
    error of standardised values, as a mean over the columns; it has no temperature. It is 0 where both answer alike. No
    gradient reaches the teacher.
    """
    logits, taught = logits.float(), taught.detach().float()
    if task == "regression":
        return F.mse_loss(logits, taught)
    logits, taught = logits / temperature, taught / temperature
    if task == "classification":
        own, wanted = logits.log_softmax(dim=1), taught.log_softmax(dim=1)
        divergence = F.kl_div(own, wanted, reduction="batchmean", log_target=True)
    else:
        soft = taught.sigmoid()
        least = F.binary_cross_entropy_with_logits(taught, soft)  # the entropy of the teacher's answers
        divergence = F.binary_cross_entropy_with_logits(logits, soft) - least
    return temperature**2 * divergence


def to_logits(scores: Tensor, task: Task) -> Tensor:
    """Return logits (B, n_outputs) that have these scores: the inverse of `to_scores`, up to a constant of each row."""
    if task == "regression":
        return scores
    p = scores.clamp(_TINY, 1.0 - _TINY)
    return p.log() if task == "classification" else torch.logit(p)
