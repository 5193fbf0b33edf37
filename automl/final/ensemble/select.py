"""Greedy selection of the members of an ensemble, with replacement.

Caruana, Niculescu-Mizil, Crew and Ksikes 2004, "Ensemble selection from libraries of models". It begins with the model
that would be delivered alone, so it can only leave that on evidence.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from automl.records import Task

Array = npt.NDArray[Any]
MOST = 12  # additions, with replacement
LEAST_GAIN = 1e-4  # of the loss, as a share: less is rounding
_TINY = 1e-7


@dataclass(frozen=True)
class Selection:
    """The additions in their order, as places among the candidates, and the loss after each."""

    order: tuple[int, ...]
    losses: tuple[float, ...]

    @property
    def counts(self) -> dict[int, int]:
        """How often each candidate was added, in the order of its first addition."""
        return dict(Counter(self.order))

    def mean(self, scores: Sequence[Array]) -> Array:
        """Return the weighted mean of the scores of the candidates."""
        return np.asarray(np.mean([scores[place] for place in self.order], axis=0))


def select(scores: Sequence[Array], targets: Array, task: Task, *, most: int = MOST) -> Selection:
    """Return the members that lower the loss, one after another, from the first candidate on.

    `scores` are those of each candidate (n, n_outputs) on rows with these targets that none of them trained on:
    probabilities, or values of a regression. The loss is the log loss, or the squared error: of few rows it says more
    than a metric that counts right answers.
    """
    order, total = [0], np.asarray(scores[0], dtype=np.float64)
    losses = [loss_of(total, targets, task)]
    while len(order) < most:
        tried = [loss_of((total + each) / (len(order) + 1), targets, task) for each in scores]
        best = int(np.argmin(tried))
        if not tried[best] < losses[-1] * (1.0 - LEAST_GAIN):
            break
        order.append(best)
        total = total + scores[best]
        losses.append(tried[best])
    return Selection(tuple(order), tuple(losses))


def loss_of(scores: Array, targets: Array, task: Task) -> float:
    """Return the mean of the losses of the rows."""
    return float(np.mean(row_losses(scores, targets, task)))


def row_losses(scores: Array, targets: Array, task: Task) -> Array:
    """Return the loss of each row: log loss, its mean over the labels, or the squared error over the columns."""
    if task == "regression":
        spread = np.maximum(np.asarray(targets).var(axis=0), _TINY)
        return np.asarray(((scores - targets) ** 2 / spread).mean(axis=1))
    p = np.clip(scores, _TINY, 1.0 - _TINY)
    if task == "classification":
        return np.asarray(-np.log(p[np.arange(len(targets)), targets]))
    return np.asarray(-(targets * np.log(p) + (1 - targets) * np.log(1 - p)).mean(axis=1))


def clearly_lower(before: Array, after: Array, targets: Array, task: Task) -> bool:
    """Return whether the loss of the scores `after` is lower by more than one standard error of the difference.

    The error is that of rows whose differences are of either sign alike, sqrt(mean(d^2) / n).
    """
    gain = row_losses(before, targets, task) - row_losses(after, targets, task)
    return float(gain.mean()) > math.sqrt(float(np.mean(gain**2)) / len(gain))
