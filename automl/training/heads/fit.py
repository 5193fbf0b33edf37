"""Linear models on features, fitted by scikit-learn; a regression by this package's ridge regression.

Every row has the weight 1 / views, so the strength of the penalty means the same for one view and two.
"""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import sklearn
import torch
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits
from torch import Tensor, nn

from automl.data.balance import Balance
from automl.machine import Moment
from automl.records import DatasetInfo, Task
from automl.training.heads.class_weights import weights_of_classes
from automl.training.heads.features import Features
from automl.training.models.linear_probe import ridge_weights
from automl.training.steps.losses import standardised

TOLERANCE, ROUGH = 1e-7, 3e-4  # of the gradient of the mean loss
_MOST_DOUBLE = (
    32e6  # values of features (256 MB) that are converted to float64, in which a fit gets to its end
)
_WORK = 4e9  # floating point operations between two looks at the clock
_FEWEST, _MOST, _LOOKS = 10, 200, 20  # iterations between two looks, and looks
LOGISTIC, LOGISTIC_EACH = "logistic regression", "logistic regression for each label"
RIDGE, ROBUST = "ridge regression", "robust linear regression"
_REGRESSIONS: dict[Task, str] = {
    "classification": LOGISTIC,
    "multilabel": LOGISTIC_EACH,
    "regression": RIDGE,
}
_NEVER = -12.0  # the logit of a class without training rows, below the mean of the others

# Components of a projection: the fewest and the most, and one for so many rows. It is found on at most so many rows.
COMPONENTS, ROWS_EACH, MOST_PROJECTED = (256, 512), 3, 4000
LEAST_COMPONENTS = 64  # where there is little time
# Floating point operations for each value and component, and those of a slow core in a second.
_PASSES, _PER_SECOND = 14.0, 2e10

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Linear:
    """Weight (k, d) and bias (k,) of a linear layer."""

    weight: Array
    bias: Array

    def __call__(self, x: Array) -> Array:
        """Return the outputs (n, k) for rows (n, d)."""
        found: Array = x @ self.weight.T.astype(x.dtype) + self.bias
        return found

    def put_into(self, layer: nn.Linear) -> None:
        """Set the values of the layer to these."""
        with torch.no_grad():
            layer.weight.copy_(torch.from_numpy(np.ascontiguousarray(self.weight)))
            layer.bias.copy_(torch.from_numpy(np.ascontiguousarray(self.bias)))


@dataclass(frozen=True)
class Scale:
    """Mean (d,) of the features of the training rows, and what they are divided by (d,).

    That is their deviation, shrunk to the common one: the root of the mean of a feature's variance and of the mean of
    all variances. Few rows say little about a single variance, and a feature that is nearly constant in them would
    be all noise.
    """

    mean: Array
    deviation: Array

    @staticmethod
    def of(features: Features) -> Scale:
        """Return that of images as they are. If no feature changes, they are divided by 1."""
        flat = features.values[0]
        mean, variance = flat.mean(axis=0, dtype=np.float64), flat.var(axis=0, dtype=np.float64)
        deviation = np.sqrt(0.5 * (variance + variance.mean()))
        return Scale(mean, deviation if deviation.min() > 1e-12 else np.ones_like(deviation))

    def apply(self, features: Features) -> None:
        """Standardise features in place."""
        np.subtract(features.values, self.mean, out=features.values, casting="same_kind")
        np.divide(features.values, self.deviation, out=features.values, casting="same_kind")

    def fold(self, found: Linear) -> Linear:
        """Return the layer for features as they are, from one for standardised features."""
        weight = found.weight / self.deviation
        return Linear(weight, found.bias - weight @ self.mean)


@dataclass(frozen=True)
class Projection:
    """The largest principal components (d, k) of standardised features, with their `scale`.

    A fit on some hundred components takes a fiftieth of the time of one on six thousand features, and is as good.
    """

    scale: Scale
    components: Array

    @staticmethod
    def of(*parts: Features, seed: int, seconds: float = math.inf) -> Projection | None:
        """Return that of images as they are, by the randomised method of Halko, Martinsson and Tropp 2011.

        The parts must be all rows that are fitted on at some time: with fewer rows than features, each row has a
        component nearly of its own, and rows that the components do not know look different. The scale is that of the
        first part. It has fewer components if all would take longer than so many seconds, and is None if there is no
        time for any.
        """
        scale, width = Scale.of(parts[0]), parts[0].values.shape[2]
        n = sum(map(len, parts))
        rows = np.sort(np.random.default_rng(seed).permutation(n)[:MOST_PROJECTED])
        ends = np.cumsum([0, *map(len, parts)])
        found_in = [rows[(rows >= a) & (rows < b)] - a for a, b in itertools.pairwise(ends)]
        most = min(int(np.clip(n // ROWS_EACH, *COMPONENTS)), len(rows) - 1, width)
        k = max(1, int(min(most, seconds * _PER_SECOND / (_PASSES * len(rows) * width))))
        if k < min(most, LEAST_COMPONENTS):
            return None
        chosen = [part.values[0, own] for part, own in zip(parts, found_in, strict=True)]
        values = ((np.concatenate(chosen) - scale.mean) / scale.deviation).astype(np.float32)
        threads = torch.get_num_threads()
        # Beside other work, two threads that wait for each other take many times as long.
        torch.set_num_threads(1)
        try:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                _, _, found = torch.svd_lowrank(torch.from_numpy(values), q=k, niter=1)
        finally:
            torch.set_num_threads(threads)
        return Projection(scale, found.numpy())

    def apply(self, features: Features) -> Features:
        """Return the components (views, n, k) of features (views, n, d), which are standardised in place."""
        self.scale.apply(features)
        return replace(features, values=features.values @ self.components)

    def fold(self, found: Linear) -> Linear:
        """Return the layer for features as they are, from one for components."""
        return self.scale.fold(Linear(found.weight @ self.components.T, found.bias))


@dataclass(frozen=True)
class Problem:
    """What is fitted: the task, and the weights of classes in the loss."""

    info: DatasetInfo
    class_weights: Array | None

    @staticmethod
    def of(info: DatasetInfo, balance: Balance) -> Problem:
        """Return the problem of a data set."""
        return Problem(info, weights_of_classes(info, balance))

    def targets(self, targets: Tensor) -> Array:
        """Return targets as they are fitted: class numbers (n,), 0/1 (n, k), or standardised values (n, k)."""
        return standardised(targets, self.info).numpy()

    def row_weights(self, y: Array) -> Array:
        """Return the weight of each row (n,) in the loss; several labels: for each label (n, k)."""
        if self.info.task == "multilabel":
            ratio = 1.0 if self.class_weights is None else self.class_weights
            return np.where(y > 0, ratio, 1.0)
        if self.class_weights is None:
            return np.ones(len(y))
        return np.asarray(self.class_weights[y])

    def loss(self, outputs: Array, y: Array) -> float:
        """Return the mean loss: log loss, its mean over labels, or squared error in deviations of the targets."""
        weights = self.row_weights(y)
        if self.info.task == "classification":
            shifted = outputs - outputs.max(axis=1, keepdims=True)
            log_p = shifted[np.arange(len(y)), y] - np.log(np.exp(shifted).sum(axis=1))
            return float(-(weights * log_p).sum() / weights.sum())
        if self.info.task == "multilabel":
            each = np.logaddexp(0.0, np.where(y > 0, -outputs, outputs))
            return float((weights * each).sum() / weights.sum())
        return float(np.square(outputs - y).mean())


@dataclass(frozen=True, kw_only=True)
class Fitting:
    """How to fit: the inverse strength of the penalty (C), the views of an image among the rows, and until when.

    A `rough` fit ends sooner, which is enough to compare strengths and takes a third of the time.
    """

    strength: float
    views: int = 1
    until: Moment
    rough: bool = False


def solve(problem: Problem, x: Array, y: Array, how: Fitting, start: Linear | None = None) -> Linear:
    """Return the layer for standardised rows `x` (n, d) with targets `y`; the search begins at `start`.

    After the moment `how.until` it returns what it has, after some iterations at least.
    """
    weights = problem.row_weights(y) / how.views
    if not how.rough and x.size <= _MOST_DOUBLE:
        x = x.astype(np.float64)
    if problem.info.task == "regression":
        return _ridge(x, y, how.views / how.strength)
    if problem.info.task == "classification":
        return _classes(x, y, weights, problem.info.n_outputs, how, start)
    layers = []
    for k in range(problem.info.n_outputs):
        own = None if start is None else _two(start.weight[k], start.bias[k])
        found = _classes(x, (y[:, k] > 0).astype(np.int64), weights[:, k], 2, how, own)
        layers.append((found.weight[1] - found.weight[0], found.bias[1] - found.bias[0]))
    return Linear(np.stack([weight for weight, _ in layers]), np.array([bias for _, bias in layers]))


def regression_of(task: Task) -> str:
    """Return the name of the regression that a task has."""
    return _REGRESSIONS[task]


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """In the block, BLAS uses one thread, and fits that end before they converge give no warning. For the main thread.

    Steps of L-BFGS are short: beside other work, two threads that wait for each other take ten times as long.
    """
    with threadpool_limits(limits=1, user_api="blas"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _classes(x: Array, y: Array, weights: Array, n: int, how: Fitting, start: Linear | None) -> Linear:
    """Return a multinomial logistic regression of `n` classes, some of which may have no rows."""
    present = np.unique(y)
    if len(present) == 1:
        return _spread(np.zeros((1, x.shape[1])), np.zeros(1), present, n)
    at_once = int(np.clip(_WORK / (4.0 * x.size * len(present)), _FEWEST, _MOST))
    tolerance = ROUGH if how.rough else TOLERANCE
    model = LogisticRegression(C=how.strength, tol=tolerance, max_iter=at_once, warm_start=True)
    if start is not None:
        model.coef_, model.intercept_ = start.weight[present], start.bias[present]
        if len(present) == 2:
            model.coef_, model.intercept_ = np.diff(model.coef_, axis=0), np.diff(model.intercept_)
    # Without its checks of arguments, which take longer than a small fit.
    with sklearn.config_context(skip_parameter_validation=True, assume_finite=True):
        for _ in range(_LOOKS):
            model.fit(x, y, sample_weight=weights)
            if int(np.max(model.n_iter_)) < at_once or how.until.passed():
                break
    if len(present) == 2:
        two = _two(model.coef_[0], float(model.intercept_[0]))
        return _spread(two.weight, two.bias, present, n)
    return _spread(model.coef_, model.intercept_, present, n)


def _two(weight: Array, bias: float) -> Linear:
    """Return two logits whose difference is this one."""
    return Linear(np.stack([-weight / 2, weight / 2]), np.array([-bias / 2, bias / 2]))


def _spread(weight: Array, bias: Array, present: Array, n: int) -> Linear:
    """Return the layer of `n` classes from that of the present ones."""
    every = Linear(np.zeros((n, weight.shape[1])), np.full(n, float(bias.mean()) + _NEVER))
    every.weight[present], every.bias[present] = weight, bias
    return every


def _ridge(x: Array, y: Array, ridge: float) -> Linear:
    mean, centre = x.mean(axis=0), y.mean(axis=0)
    rows, values = torch.from_numpy(x - mean), torch.from_numpy(y - centre).double()
    weight = next(ridge_weights(rows, values, [ridge])).numpy().T
    return Linear(weight, centre - weight @ mean)
