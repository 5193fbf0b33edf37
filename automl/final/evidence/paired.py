"""Compare two models on the same rows: the difference of a metric, and the standard error of that difference.

Two models are right and wrong about many of the same rows, so their difference is known better than either score.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from automl.config.metrics import METRICS
from automl.final.resampling.bootstrap import drawn_counts
from automl.final.resampling.weighted_metrics import is_ranked, weighted
from automl.records import Task
from automl.training.steps.metrics import compute, in_double, to_labels

Array = npt.NDArray[Any]
RESAMPLES, FEWEST_RESAMPLES = 400, 40
BUDGET = 400_000  # rows in all resamples of one metric
RANKED_BUDGET = 4_000_000  # the same, for each output, if the rows are sorted for it
TINY = 1e-9


@dataclass(frozen=True)
class Difference:
    """A metric of two models on the same `rows`, and how much better the `first` is.

    `better` is positive if the first is better, also for errors, where less is better. `error` is the standard error
    of `better` if both were equally good; NaN if it is unknown. `one_row` is what one row may change in a metric with
    bounds, 0 in others.
    """

    first: float
    second: float
    better: float
    error: float
    rows: int
    one_row: float = 0.0

    def certainty(self, most: float) -> float:
        """Return the probability that on all images of this kind the first is better by at most `most`; NaN if unknown.

        The difference is taken for normal, with its standard error and one row more on which the two differ: that they
        agree on few rows does not show that they always do (Agresti and Coull 1998 add one in the same way).
        """
        if not (math.isfinite(self.better) and math.isfinite(self.error)):
            return math.nan
        error = math.hypot(self.error, self.one_row)
        if error == 0.0:
            return float(self.better <= most)
        return 0.5 * (1.0 + math.erf((most - self.better) / (error * math.sqrt(2.0))))

    def exceeds(self, errors: float) -> bool:
        """Return whether the first is better by more than so many standard errors; False if one is unknown.

        A model whose outputs are not finite has no value; any value is better than none.
        """
        if math.isnan(self.second) and math.isfinite(self.first):
            return True
        return self.better > errors * self.error * (1.0 + TINY)  # rounding must not decide


def paired_difference(
    metric: str, targets: Array, first: Array, second: Array, task: Task, *, seed: int = 0
) -> Difference:
    """Compare two models by their scores (n, n_outputs) on rows with these `targets`, as `metrics.compute` takes them.

    Metrics that are means over rows: from the differences d of the rows, sqrt(mean(d^2) / n). This is the standard
    error if both models are equally good; for accuracy it is that of McNemar's test (1947). Balanced accuracy weighs
    each row by its class. rmse and r2 follow from the squared errors. Others: the standard deviation over bootstrap
    resamples of the rows (Efron 1979). Raises KeyError for an unknown metric.
    """
    values = compute(metric, targets, first, task), compute(metric, targets, second, task)
    sign = 1.0 if METRICS[metric].mode == "max" else -1.0
    better, n = sign * (values[0] - values[1]), len(targets)
    if not math.isfinite(better):
        return Difference(*values, math.nan, math.nan, n)
    one_row = 1.0 / max(1, n) if math.isfinite(METRICS[metric].widest) else 0.0
    if metric in _ROWS and not (metric == "log_loss" and targets.ndim == 2):
        one, two = (_ROWS[metric](*in_double(targets, scores, task), task) for scores in (first, second))
        d = one - two
        error = math.sqrt(float(np.mean(d**2)) / max(1, n))
        if metric == "rmse":  # of a difference of squares, by the sum of the roots
            error /= (values[0] + values[1]) or 1.0
        return Difference(*values, better, error, n, one_row)
    error = _resampled_error(metric, targets, first, second, task, seed)
    return Difference(*values, better, error, n, one_row)


def _resampled_error(
    metric: str, targets: Array, first: Array, second: Array, task: Task, seed: int
) -> float:
    rng, n = np.random.default_rng(seed), len(targets)
    most = min(BUDGET, RANKED_BUDGET // first.shape[1]) if is_ranked(metric) else BUDGET
    count = int(np.clip(most // max(1, n), FEWEST_RESAMPLES, RESAMPLES))
    drawn = drawn_counts(n, count, rng)
    both = (weighted(metric, targets, scores, task, drawn) for scores in (first, second))
    differences = next(both) - next(both)
    finite = differences[np.isfinite(differences)]
    return float(np.std(finite, ddof=1)) if len(finite) >= count / 2 else math.nan


def _right(targets: Array, scores: Array, task: Task) -> Array:
    return np.asarray(to_labels(scores, task) == targets, dtype=np.float64)


def _of_class(targets: Array, scores: Array, task: Task) -> Array:
    """Return for each row its part of the balanced accuracy; their mean is the metric."""
    classes, place, counts = np.unique(targets, return_inverse=True, return_counts=True)
    return np.asarray(_right(targets, scores, task) * (len(targets) / (len(classes) * counts))[place])


def _losses(targets: Array, scores: Array, task: Task) -> Array:
    eps = np.finfo(scores.dtype).eps
    return np.asarray(-np.log(np.clip(scores[np.arange(len(targets)), targets], eps, 1 - eps)))


def _squares(targets: Array, scores: Array, task: Task) -> Array:
    return np.asarray(((targets - scores) ** 2).mean(axis=1))


def _explained(targets: Array, scores: Array, task: Task) -> Array:
    """Return for each row its part of 1 - r2, the mean over the columns."""
    variance = targets.var(axis=0)
    variance = np.where(variance > 0, variance, 1.0)
    return np.asarray(((targets - scores) ** 2 / variance).mean(axis=1))


_ROWS: dict[str, Callable[[Array, Array, Task], Array]] = {
    "accuracy": _right,
    "balanced_accuracy": _of_class,
    "log_loss": _losses,
    "mae": lambda targets, scores, task: np.asarray(np.abs(targets - scores).mean(axis=1)),
    "rmse": _squares,
    "r2": _explained,
}
