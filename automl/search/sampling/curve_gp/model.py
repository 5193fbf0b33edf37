"""A Gaussian process over configurations and rounds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, cholesky, solve_triangular
from scipy.optimize import minimize

Array = NDArray[np.float64]

JITTER = 1e-6
FIT_POINTS = 100
FIT_STEPS = 25
REFIT_GROWTH = 1.15
MIN_POINTS = 8
# Where the length scales of a cube begin: the further apart its points lie, the longer.
LENGTH_PER_ROOT_DIMENSION = 0.27
TIME_LENGTH = 0.5
TIME_ODDS = 1.0
NOISE = 1e-3
PRIOR_SD = 1.0
BOUND = 5.0


@dataclass(frozen=True)
class _Fit:
    """The factor of the covariance, the weights of the data and the variance that go with them."""

    factor: Array
    weights: Array
    variance: float


class CurveModel:
    """A Gaussian process of learning curves.

    Covariance of two points (x, t) and (x', t'), with t the logarithm of the round as a share of the full length's:
    s^2 * matern(x, x') * ((1 - c) + c * matern(t, t')) + noise, both Matern 5/2, one length scale a parameter. So all
    curves that lie near each other inform each other, at all rounds. The variance s^2 is the one of largest likelihood;
    length scales, c and noise are the maximum a posteriori under log-normal priors, found by L-BFGS from where the last
    fit ended.

    Source of the product form: Swersky, Snoek, Adams, "Freeze-Thaw Bayesian Optimization" (2014) and Klein et al.,
    "Learning Curve Prediction with Bayesian Neural Networks" (2017), reduced to stationary kernels.
    """

    def __init__(self, groups: NDArray[np.intp], rng: np.random.Generator) -> None:
        """`groups[i]`: which length scale column i of x has."""
        self._groups = groups
        self._count = int(groups.max(initial=-1)) + 1
        self._starts = np.flatnonzero(np.diff(groups, prepend=-1))
        length = LENGTH_PER_ROOT_DIMENSION * max(self._count, 1) ** 0.5
        start = [length] * self._count + [TIME_LENGTH, TIME_ODDS, NOISE]
        self._prior = np.log(np.array(start))
        self._hyper = self._prior.copy()
        self._rng = rng
        self._fitted = 0
        self._x = np.zeros((0, len(groups) + 1))
        self._y = np.zeros(0)
        self._fit: _Fit | None = None

    def fit(self, x: Array, y: Array) -> None:
        """Learns from points `x` (rows, columns + 1; the last is t) with values `y`, of about zero mean and
        unit deviation. The kernel is adapted whenever the data have grown by 15 %.
        """
        if len(y) >= MIN_POINTS and len(y) >= REFIT_GROWTH * self._fitted:
            chosen = np.sort(self._rng.choice(len(y), min(len(y), FIT_POINTS), replace=False))
            self._adapt(x[chosen], y[chosen])
            self._fitted = len(y)
        self.condition(x, y)

    def condition(self, x: Array, y: Array) -> None:
        """Takes the data in without adapting the kernel."""
        self._x, self._y = x, y
        try:
            self._fit = self._solve(self._hyper, x, y)
        except np.linalg.LinAlgError:
            self._hyper = self._prior.copy()
            self._fit = self._solve(self._hyper, x, y)

    def predict(self, x: Array) -> tuple[Array, Array]:
        """Mean and standard deviation at the points `x`, without the noise. Call after `fit`."""
        if self._fit is None:
            raise RuntimeError("fit must come before predict")
        cross = self._kernel(self._hyper, self._x, x)
        solved = solve_triangular(self._fit.factor, cross, lower=True, check_finite=False)
        variance = self._fit.variance * (1.0 - (solved * solved).sum(axis=0))
        mean: Array = cross.T @ self._fit.weights
        return mean, np.sqrt(np.maximum(variance, 1e-10))

    # ------------------------------------------------------------------------------------------------------

    def _solve(self, hyper: Array, x: Array, y: Array) -> _Fit:
        covariance = self._kernel(hyper, x, x)
        covariance[np.diag_indices(len(y))] += np.exp(hyper[-1]) + JITTER
        factor = cholesky(covariance, lower=True, check_finite=False)
        weights = cho_solve((factor, True), y, check_finite=False)
        return _Fit(factor, weights, max(float(y @ weights) / max(len(y), 1), 1e-4))

    def _kernel(self, hyper: Array, a: Array, b: Array) -> Array:
        scales = np.append(np.exp(-hyper[: self._count])[self._groups], np.exp(-hyper[self._count]))
        a, b = a * scales, b * scales
        space = _matern(_squared(a[:, :-1], b[:, :-1]))
        time = _matern(_squared(a[:, -1:], b[:, -1:]))
        share = 1.0 / (1.0 + np.exp(-hyper[self._count + 1]))
        product: Array = space * ((1.0 - share) + share * time)
        return product

    def _adapt(self, x: Array, y: Array) -> None:
        """Moves length scales, c and noise to the largest posterior."""
        spread = (x.T[:, :, None] - x.T[:, None, :]) ** 2
        # The columns of a parameter lie side by side; t is the last.
        apart = np.add.reduceat(spread, np.append(self._starts, len(self._groups)), axis=0)
        bounds = [(start - BOUND, start + BOUND) for start in self._prior]
        best = minimize(
            self._loss,
            self._hyper,
            args=(apart, y),
            jac=True,
            method="L-BFGS-B",
            bounds=bounds,
            options={"maxiter": FIT_STEPS},
        )
        if np.isfinite(best.fun):
            self._hyper = best.x

    def _loss(self, hyper: Array, apart: Array, y: Array) -> tuple[float, Array]:
        """Negative log posterior and its gradient; `apart` holds squared distances of each parameter, of t
        last.
        """
        count, n = self._count, len(y)
        parts = apart * np.exp(-2.0 * hyper[: count + 1])[:, None, None]
        space_d2, time_d2 = parts[:-1].sum(axis=0), parts[-1]
        space, time = _matern(space_d2), _matern(time_d2)
        share = 1.0 / (1.0 + np.exp(-hyper[count + 1]))
        mixed = (1.0 - share) + share * time
        noise = float(np.exp(hyper[-1]))
        covariance = space * mixed
        covariance[np.diag_indices(n)] += noise + JITTER
        off = (hyper - self._prior) / PRIOR_SD
        try:
            factor = cholesky(covariance, lower=True, check_finite=False)
        except np.linalg.LinAlgError:
            return 1e10, off
        inverse = cho_solve((factor, True), np.eye(n), check_finite=False)
        weights = inverse @ y
        variance = max(float(y @ weights) / n, 1e-4)
        value = 0.5 * n * np.log(variance) + np.log(np.diag(factor)).sum() + 0.5 * float(off @ off)
        pull = 0.5 * (inverse - np.outer(weights, weights) / variance)
        gradient = np.empty_like(hyper)
        gradient[:count] = np.tensordot(parts[:-1], pull * mixed * _slope(space_d2), axes=2)
        gradient[count] = (pull * space * share * _slope(time_d2) * time_d2).sum()
        gradient[count + 1] = (pull * space * (time - 1.0)).sum() * share * (1.0 - share)
        gradient[-1] = np.trace(pull) * noise
        return float(value), gradient + off / PRIOR_SD


def _squared(a: Array, b: Array) -> Array:
    d2: Array = (a * a).sum(axis=1)[:, None] + (b * b).sum(axis=1) - 2.0 * a @ b.T
    return np.maximum(d2, 0.0)


def _matern(d2: Array) -> Array:
    """Matern 5/2 of squared scaled distances (Rasmussen and Williams, eq. 4.17)."""
    d = np.sqrt(5.0 * d2)
    value: Array = (1.0 + d + d * d / 3.0) * np.exp(-d)
    return value


def _slope(d2: Array) -> Array:
    """What the derivative of `_matern` by the logarithm of a length scale is, over that length scale's part
    of d2.
    """
    d = np.sqrt(5.0 * d2)
    value: Array = (5.0 / 3.0) * (1.0 + d) * np.exp(-d)
    return value
