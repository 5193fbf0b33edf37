"""Metrics on cases whose value is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from automl.config.metrics import METRICS
from automl.training.steps.metrics import _ON_LABELS, _ON_SCORES, compute

TARGETS = np.array([0, 0, 0, 1, 2, 2])
SCORES = np.array(
    [[0.8, 0.1, 0.1], [0.7, 0.2, 0.1], [0.2, 0.7, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8], [0.1, 0.2, 0.7]]
)


def test_every_metric_that_can_be_asked_for_is_computed() -> None:
    assert set(METRICS) == {*_ON_LABELS, *_ON_SCORES}


def test_accuracy_counts_the_largest_score() -> None:
    assert compute("accuracy", TARGETS, SCORES, "classification") == pytest.approx(5 / 6)


def test_balanced_accuracy_is_the_mean_of_recalls() -> None:
    assert compute("balanced_accuracy", TARGETS, SCORES, "classification") == pytest.approx(
        (2 / 3 + 1 + 1) / 3
    )


def test_log_loss_is_the_mean_negative_log_probability() -> None:
    expected = -np.log([0.8, 0.7, 0.2, 0.8, 0.8, 0.7]).mean()
    assert compute("log_loss", TARGETS, SCORES, "classification") == pytest.approx(expected)


@pytest.mark.parametrize("name", [name for name, spec in METRICS.items() if "classification" in spec.tasks])
def test_classification_metric_of_perfect_scores_beats_that_of_wrong_ones(name: str) -> None:
    targets = np.array([0, 1, 2, 3, 4, 5, 6, 0, 1, 2])
    perfect = np.full((10, 7), 0.01) + np.eye(7)[targets] * 0.93
    wrong = np.full((10, 7), 0.01) + np.eye(7)[(targets + 1) % 7] * 0.93
    wrong[np.arange(10), targets] = 0.0
    wrong /= wrong.sum(axis=1, keepdims=True)
    good, bad = (compute(name, targets, scores, "classification") for scores in (perfect, wrong))
    assert good > bad if METRICS[name].mode == "max" else good < bad


def test_rmse_is_the_root_of_the_mean_square() -> None:
    assert compute("rmse", np.array([[1.0], [2.0]]), np.array([[1.0], [4.0]]), "regression") == pytest.approx(
        2**0.5
    )


def test_roc_auc_of_rows_of_one_class_is_nan() -> None:
    assert math.isnan(
        compute("roc_auc", np.array([0, 0]), np.array([[0.6, 0.4], [0.3, 0.7]]), "classification")
    )


def test_metric_of_scores_that_are_not_finite_is_nan() -> None:
    assert math.isnan(compute("accuracy", TARGETS, SCORES * np.nan, "classification"))


@pytest.mark.parametrize("unit", [1e-25, 1e20])
@pytest.mark.parametrize("name", ["rmse", "mae", "r2"])
def test_metric_of_amounts_in_any_unit_is_that_of_the_plain_ones(name: str, unit: float) -> None:
    targets, scores = np.array([[1.0], [2.0], [4.0]]), np.array([[1.0], [4.0], [3.0]])
    plain = compute(name, targets, scores, "regression")
    found = compute(
        name, (targets * unit).astype(np.float32), (scores * unit).astype(np.float32), "regression"
    )
    assert found == pytest.approx(plain if name == "r2" else plain * unit, rel=1e-5)
