"""Temperature scaling: it finds the temperature that was applied, and changes no answer."""

from __future__ import annotations

import numpy as np
import pytest

from automl.final.confidence.temperature import fit_temperature, tempered
from automl.records import Task


def drawn(temperature: float, n: int = 2000, classes: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """Targets from true probabilities, and scores that are too sure by a temperature."""
    rng = np.random.default_rng(0)
    logits = 2.0 * rng.standard_normal((n, classes))
    true = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    targets = (true.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1)
    sure = np.exp(logits * temperature)
    return np.minimum(targets, classes - 1), (sure / sure.sum(axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("temperature", [0.5, 2.0, 4.0])
def test_temperature_that_was_applied_is_found(temperature: float) -> None:
    targets, scores = drawn(temperature)
    assert fit_temperature(targets, scores, "classification") == pytest.approx(temperature, rel=0.12)


def test_temperature_of_labels_is_found() -> None:
    rng = np.random.default_rng(1)
    odds = 2.0 * rng.standard_normal((1000, 3))
    targets = (rng.random((1000, 3)) < 1 / (1 + np.exp(-odds))).astype(np.float32)
    scores = (1 / (1 + np.exp(-3.0 * odds))).astype(np.float32)
    assert fit_temperature(targets, scores, "multilabel") == pytest.approx(3.0, rel=0.12)


def test_answers_stay_and_probabilities_sum_to_one() -> None:
    _, scores = drawn(3.0)
    for temperature in (0.3, 2.5, 8.0):
        found = tempered(scores, temperature, "classification")
        assert found.dtype == scores.dtype
        assert np.array_equal(found.argmax(axis=1), scores.argmax(axis=1))
        np.testing.assert_allclose(found.sum(axis=1), 1.0, atol=1e-5)
    labels = tempered(scores, 2.5, "multilabel")
    assert np.array_equal(labels >= 0.5, scores >= 0.5)


def test_probabilities_of_zero_and_one_stay_finite() -> None:
    scores = np.array([[1.0, 0.0], [0.0, 1.0]], dtype=np.float32)
    for task in ("classification", "multilabel"):
        found = tempered(scores, 2.0, task)
        assert np.isfinite(found).all() and (found[0, 0] > 0.99) and (found[0, 1] < 0.01)


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_values_and_temperature_one_change_nothing(task: Task) -> None:
    scores = np.array([[0.2, 0.8]])
    assert tempered(scores, 2.0 if task == "regression" else 1.0, task) is scores


def test_nothing_is_fitted_where_nothing_is_known_or_nothing_gained() -> None:
    targets, scores = drawn(4.0)
    assert fit_temperature(targets[:29], scores[:29], "classification") == 1.0
    assert fit_temperature(targets.astype(float)[:, None], scores[:, :1], "regression") == 1.0
    assert fit_temperature(targets, np.where(scores > 0.9, np.nan, scores), "classification") == 1.0
    noise = np.random.default_rng(3)
    uniform = np.full((40, 2), 0.5, dtype=np.float32)
    assert fit_temperature(noise.integers(0, 2, 40), uniform, "classification") == 1.0


def test_few_right_answers_do_not_make_a_model_sure() -> None:
    """All of 40 answers are right: that is no proof of more than 1 - 1/42."""
    scores = np.tile(np.array([[0.7, 0.3]], dtype=np.float32), (40, 1))
    temperature = fit_temperature(np.zeros(40, dtype=np.int64), scores, "classification")
    assert 0.9 < tempered(scores, temperature, "classification")[0, 0] < 0.99
