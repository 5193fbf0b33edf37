"""Confidence intervals of a metric on the holdout."""

from __future__ import annotations

import math

import numpy as np
from scipy.stats import binomtest

from automl.final.resampling.bootstrap import resampled
from automl.records import Interval, Task
from automl.training.steps.metrics import compute


def interval(metric: str, targets: np.ndarray, scores: np.ndarray, task: Task, *, seed: int) -> Interval:
    """Return the value of `metric` and its 95 % confidence interval.

    Accuracy: Wilson's score interval (Wilson 1927). Others: the percentile bootstrap over rows (Efron 1979), with 40
    to 400 resamples. The bounds are NaN if no resample has a value.
    """
    value = compute(metric, targets, scores, task)
    if metric == "accuracy" and task == "classification":
        return Interval(value, *wilson(value, len(targets)))
    drawn = resampled(metric, targets, scores, task, seed=seed)
    finite = drawn[np.isfinite(drawn)]
    if not len(finite):
        return Interval(value, math.nan, math.nan)
    low, high = np.quantile(finite, [0.025, 0.975])
    return Interval(value, float(min(low, value)), float(max(high, value)))


def wilson(share: float, n: int) -> tuple[float, float]:
    """Return Wilson's 95 % interval of a share observed in `n` independent rows; (0, 1) for n = 0 or NaN."""
    if n == 0 or math.isnan(share):
        return 0.0, 1.0
    found = binomtest(round(share * n), n).proportion_ci(method="wilson")
    return float(found.low), float(found.high)
