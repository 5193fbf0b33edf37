"""Calibration and risk by coverage, against values that are worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from automl.final.evaluation.calibration import calibration, reliability, risk_coverage


def test_calibrated_answers_have_no_error_and_sure_wrong_ones_have_one() -> None:
    right = np.array([1, 1, 1, 0] * 25, dtype=np.int64)
    scores = np.tile([0.25, 0.75], (100, 1))
    found = calibration(right, scores)
    assert found is not None
    assert found.ece == pytest.approx(0.0)
    assert found.brier == pytest.approx((75 * 2 * 0.25**2 + 25 * 2 * 0.75**2) / 100)
    wrong = calibration(np.zeros(50, dtype=np.int64), np.tile([0.0, 1.0], (50, 1)))
    assert wrong is not None
    assert wrong.ece == pytest.approx(1.0) and wrong.brier == pytest.approx(2.0)


def test_brier_score_of_labels_is_the_mean_over_labels() -> None:
    targets = np.array([[1.0, 0.0], [0.0, 0.0]], dtype=np.float32)
    scores = np.array([[0.8, 0.1], [0.5, 0.0]], dtype=np.float32)
    found = calibration(targets, scores)
    assert found is not None
    assert found.brier == pytest.approx((0.04 + 0.01 + 0.25 + 0.0) / 4, abs=1e-6)


def test_bins_hold_equally_many_answers_and_equal_confidences_share_one() -> None:
    confidence = np.linspace(0.5, 1.0, 150)
    bins = reliability(confidence, np.ones(150, dtype=bool))
    assert [each.n for each in bins] == [10] * 15
    assert [each.confidence for each in bins] == sorted(each.confidence for each in bins)
    tied = reliability(np.r_[np.full(90, 0.9), np.linspace(0.5, 0.6, 10)], np.arange(100) % 2 == 0)
    assert sorted(each.n for each in tied) == [10, 90]


def test_few_answers_are_one_bin() -> None:
    assert [each.n for each in reliability(np.array([0.5, 0.9]), np.array([True, False]))] == [2]


def test_probabilities_that_are_not_finite_have_no_calibration() -> None:
    scores = np.array([[np.nan, 0.5], [0.5, 0.5]])
    targets = np.array([0, 1])
    assert calibration(targets, scores) is None and risk_coverage(targets, scores) == ()
    assert calibration(targets[:0], scores[:0]) is None and risk_coverage(targets[:0], scores[:0]) == ()


def test_risk_falls_if_the_sure_answers_are_right() -> None:
    confidence = np.linspace(0.99, 0.51, 40)
    scores = np.stack([1 - confidence, confidence], axis=1)
    targets = np.r_[np.ones(20, dtype=np.int64), np.tile([0, 1], 10)]
    points = risk_coverage(targets, scores)
    assert points[-1].coverage == 1.0 and points[-1].risk == pytest.approx(10 / 40)
    half = next(point for point in points if point.coverage == 0.5)
    assert half.risk == 0.0 and half.confidence == pytest.approx(confidence[19])


def test_equal_confidences_are_one_point_of_the_risk() -> None:
    scores = np.tile([0.4, 0.6], (50, 1))
    points = risk_coverage(np.r_[np.ones(25, dtype=np.int64), np.zeros(25, dtype=np.int64)], scores)
    assert [(point.coverage, point.risk) for point in points] == [(1.0, 0.5)]
