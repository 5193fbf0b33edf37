"""The Gaussian process of curves."""

import numpy as np
import pytest
from scipy.optimize import check_grad

from automl.search.sampling.curve_gp.encoding import Array
from automl.search.sampling.curve_gp.model import CurveModel


def cube(rng: np.random.Generator, rows: int, columns: int) -> Array:
    """Points with the times of the rungs 3, 9, 27 of 27 rounds."""
    times = np.log(rng.choice([3, 9, 27], rows)) / np.log(27)
    points: Array = np.column_stack([rng.random((rows, columns)), times])
    return points


def curve(x: Array) -> Array:
    """A bowl that deepens with time; only the first column matters."""
    y: Array = -((x[:, 0] - 0.3) ** 2) * 8 * x[:, -1] + x[:, -1]
    scaled: Array = (y - y.mean()) / y.std()
    return scaled


def test_gradient_equals_finite_differences() -> None:
    rng = np.random.default_rng(0)
    model = CurveModel(np.array([0, 1, 1, 2]), rng)
    x = cube(rng, 20, 4)
    y = curve(x)
    apart = np.add.reduceat((x.T[:, :, None] - x.T[:, None, :]) ** 2, [0, 1, 3, 4], axis=0)
    start = np.log(np.array([0.5, 0.3, 1.2, 0.4, 0.8, 0.01]))
    error = check_grad(
        lambda h: model._loss(h, apart, y)[0], lambda h: model._loss(h, apart, y)[1], start, epsilon=1e-6
    )
    assert error < 1e-3


def test_model_foretells_the_end_of_curves_from_their_beginnings() -> None:
    rng = np.random.default_rng(1)
    x = cube(rng, 120, 3)
    x[:, -1] = np.where(x[:, 0] > 0.5, x[:, -1].min(), x[:, -1])
    y = curve(x)
    model = CurveModel(np.arange(3), rng)
    model.fit(x[:100], y[:100])
    probe = cube(rng, 50, 3)
    probe[:, -1] = 1.0
    truth = curve(np.vstack([x, probe]))[120:]
    mean, deviation = model.predict(probe)
    assert np.corrcoef(mean, truth)[0, 1] > 0.95
    assert mean.shape == deviation.shape == (50,)


def test_length_scales_tell_what_matters() -> None:
    rng = np.random.default_rng(2)
    x = cube(rng, 90, 3)
    model = CurveModel(np.arange(3), rng)
    model.fit(x, curve(x))
    lengths = np.exp(model._hyper[:3])
    assert lengths[0] < 0.5 * min(lengths[1], lengths[2])


def test_model_is_sure_at_the_data_and_unsure_far_away() -> None:
    rng = np.random.default_rng(3)
    x = cube(rng, 30, 2) * np.array([0.3, 0.3, 1.0])
    y = curve(x)
    model = CurveModel(np.arange(2), rng)
    model.fit(x, y)
    mean, near = model.predict(x)
    _, far = model.predict(x + np.array([5.0, 5.0, 0.0]))
    assert np.abs(mean - y).max() < 0.2
    assert far.min() > 3 * near.max()


def test_equal_points_with_different_values_are_noise() -> None:
    rng = np.random.default_rng(4)
    x = np.repeat(cube(rng, 10, 2), 4, axis=0)
    y = rng.standard_normal(40)
    model = CurveModel(np.arange(2), rng)
    model.fit(x, y)
    mean, _ = model.predict(x[::4])
    assert np.abs(mean - y.reshape(10, 4).mean(axis=1)).max() < 1.0
    assert np.exp(model._hyper[-1]) > 0.01


def test_prediction_before_data_is_refused() -> None:
    model = CurveModel(np.arange(2), np.random.default_rng(0))
    with pytest.raises(RuntimeError, match="fit must come before predict"):
        model.predict(np.zeros((1, 3)))
