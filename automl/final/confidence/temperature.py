"""Temperature scaling (Guo et al. 2017, "On calibration of modern neural networks"): one number for all probabilities.

It divides the logarithms of the probabilities, so it changes how sure an answer is and never which one it is. Of a mean
of several softmaxes, such as over an image and its mirror image, the logits are those of the mean.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from automl.records import Task

Array = npt.NDArray[Any]
LEAST, MOST = 0.25, 8.0
FEWEST_ROWS = 30  # fewer say too little
FOLDS = 5
MOST_NUMBERS = 300_000  # of rows times outputs that are fitted on: more would take seconds and say no more
TINY = 1e-12  # float32 has no smaller probabilities that mean anything


def tempered(scores: Array, temperature: float, task: Task) -> Array:
    """Return probabilities (n, n_outputs) at a temperature; as they are at 1, and the values of a regression always."""
    if temperature == 1.0 or task == "regression":
        return scores
    if task == "multilabel":
        odds = np.log(np.clip(scores, TINY, None)) - np.log(np.clip(1.0 - scores, TINY, None))
        return np.asarray(1.0 / (1.0 + np.exp(-odds / temperature)), dtype=scores.dtype)
    logits = np.log(np.clip(scores, TINY, None)) / temperature
    found = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(found / found.sum(axis=1, keepdims=True), dtype=scores.dtype)


def fit_temperature(targets: Array, scores: Array, task: Task, *, seed: int = 0) -> float:
    """Return the temperature with the least log loss, 0.25 to 8, or 1 if another does not lower it out of fold.

    `targets` and `scores` are as in `training.steps.metrics.compute`, of rows that the model did not train on. 1 for a
    regression, for scores that are not finite, and for fewer than 30 rows. It is fitted to truths that are a little
    unsure, as in Platt (1999), "Probabilistic outputs for support vector machines": else the model could be surer than
    so many rows can show.
    """
    n = len(targets)
    if task == "regression" or n < FEWEST_ROWS or not np.isfinite(scores).all():
        return 1.0
    rng = np.random.default_rng(seed)
    most = max(FEWEST_ROWS, MOST_NUMBERS // scores.shape[1])
    if n > most:
        rows = rng.choice(n, most, replace=False)
        targets, scores, n = targets[rows], scores[rows], most
    values = scores.astype(np.float64)
    fold = rng.permutation(n) % FOLDS
    before = after = 0.0
    for number in range(FOLDS):
        held = fold == number
        found = _best(targets[~held], values[~held], task)
        before += _loss(targets[held], values[held], task, 1.0) * int(held.sum())
        after += _loss(targets[held], values[held], task, found) * int(held.sum())
    return _best(targets, values, task) if after < before else 1.0


def _best(targets: Array, scores: Array, task: Task) -> float:
    from scipy.optimize import minimize_scalar  # not needed to predict

    unsure = 1.0 / (len(targets) + 2)
    found = minimize_scalar(
        lambda power: _loss(targets, scores, task, math.exp(power), unsure),
        bounds=(math.log(LEAST), math.log(MOST)),
        method="bounded",
        options={"xatol": 1e-3},
    )
    return round(math.exp(float(found.x)), 4)


def _loss(targets: Array, scores: Array, task: Task, temperature: float, unsure: float = 0.0) -> float:
    """Return the mean log loss for truths of which the share `unsure` belongs to the other answers."""
    found = np.clip(tempered(scores, temperature, task), TINY, 1.0)
    if task == "multilabel":
        truth = targets * (1.0 - unsure) + (1.0 - targets) * unsure
        other = np.clip(1.0 - found, TINY, 1.0)
        return float(-(truth * np.log(found) + (1.0 - truth) * np.log(other)).mean())
    logs = np.log(found)
    own = logs[np.arange(len(targets)), targets]
    others = (logs.sum(axis=1) - own) / max(1, scores.shape[1] - 1)
    return float(-((1.0 - unsure) * own + unsure * others).mean())
