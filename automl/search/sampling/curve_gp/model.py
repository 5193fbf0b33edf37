"""A Gaussian process over configurations and rounds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, cholesky, solve_triangular
from scipy.optimize import minimize

Array = NDArray[np.float64]

# Priors and limits of the fit, chosen on LCBench (docs/benchmarks/history.md).
JITTER = 1e-6
FIT_POINTS = 100
FIT_STEPS = 25
REFIT_GROWTH = 1.15
MIN_POINTS = 8
LENGTH_PER_ROOT_DIMENSION = (
    0.27  # initial length scale: points of a cube are further apart in more dimensions
)
TIME_LENGTH = 0.5
TIME_ODDS = 1.0
NOISE = 1e-3
PRIOR_SD = 1.0
BOUND = 5.0


@dataclass(frozen=True)
class _Fit:
    """The factor of the covariance, the weights of the data, and their variance."""

    factor: Array
    weights: Array
    variance: float


class CurveModel:
    """A Gaussian process of learning curves.

    The covariance of points (x, t) and (x', t') is s^2 * matern(x, x') * ((1 - c) + c * matern(t, t')) + noise, both
    Matern 5/2, with a length scale for each parameter. t is the logarithm of the round over that of the full length. So
    curves of similar configurations inform each other at all rounds. The variance s^2 has maximum likelihood; length
    scales, c and noise are the maximum a posteriori under log-normal priors, found by L-BFGS from the last fit's end.

    Source of the product form: Swersky, Snoek, Adams, "Freeze-Thaw Bayesian Optimization" (2014) and Klein et al.,
    "Learning Curve Prediction with Bayesian Neural Networks" (2017), reduced to stationary kernels.
    """

    def __init__(self, groups: NDArray[np.intp], rng: np.random.Generator) -> None:
        """`groups[i]` is the length scale of column i of x."""
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
        """Fit points `x` (rows, columns + 1; the last is t) with standardised values `y`.

        The kernel adapts whenever the data have grown by 15 %.
        """
        if len(y) >= MIN_POINTS and len(y) >= REFIT_GROWTH * self._fitted:
            chosen = np.sort(self._rng.choice(len(y), min(len(y), FIT_POINTS), replace=False))
            self._adapt(x[chosen], y[chosen])
            self._fitted = len(y)
        self.condition(x, y)

    def condition(self, x: Array, y: Array) -> None:
        """Take in the data without adapting the kernel."""
        self._x, self._y = x, y
        try:
            self._fit = self._solve(self._hyper, x, y)
        except np.linalg.LinAlgError:
            self._hyper = self._prior.copy()
            self._fit = self._solve(self._hyper, x, y)

    def predict(self, x: Array) -> tuple[Array, Array]:
        """Return mean and standard deviation at the points `x`, without noise. Call after `fit`."""
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
        """Move length scales, c and noise to the maximum of the posterior."""
        spread = (x.T[:, :, None] - x.T[:, None, :]) ** 2
        # The columns of a parameter are adjacent; t is the last.
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
        """Return the negative log posterior and its gradient. `apart`: squared distances of each parameter and t."""
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
    """Return Matern 5/2 of squared scaled distances (Rasmussen and Williams, eq. 4.17)."""
    d = np.sqrt(5.0 * d2)
    value: Array = (1.0 + d + d * d / 3.0) * np.exp(-d)
    return value


def _slope(d2: Array) -> Array:
    """Return the derivative of `_matern` by the logarithm of a length scale, over that scale's part of `d2`."""
    d = np.sqrt(5.0 * d2)
    value: Array = (5.0 / 3.0) * (1.0 + d) * np.exp(-d)
    return value
