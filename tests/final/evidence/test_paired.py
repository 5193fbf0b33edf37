"""The difference of two models on the same rows, and its standard error."""

from __future__ import annotations

import math

import numpy as np
import pytest

from automl.config.metrics import METRICS
from automl.final.evidence.paired import paired_difference
from automl.records import Task
from automl.training.steps.metrics import compute


def _said(labels: list[int], classes: int = 2) -> np.ndarray:
    return np.eye(classes)[labels] * 0.8 + 0.2 / classes


def test_accuracy_counts_the_rows_where_only_one_is_right() -> None:
    targets = np.zeros(10, dtype=np.int64)
    first, second = _said([0] * 9 + [1]), _said([0] * 5 + [1] * 5)
    found = paired_difference("accuracy", targets, first, second, "classification")
    assert (found.first, found.second, found.rows) == (0.9, 0.5, 10)
    assert found.better == pytest.approx(0.4)
    # McNemar: (b - c) / sqrt(b + c), with b = 4 rows where only the first is right and c = 0
    assert found.better / found.error == pytest.approx(4 / math.sqrt(4))


def test_one_row_more_is_within_one_standard_error_and_two_are_not() -> None:
    targets = np.zeros(50, dtype=np.int64)
    base = _said([0] * 40 + [1] * 10)
    one, two = _said([0] * 41 + [1] * 9), _said([0] * 42 + [1] * 8)
    assert not paired_difference("accuracy", targets, one, base, "classification").exceeds(1.0)
    assert paired_difference("accuracy", targets, two, base, "classification").exceeds(1.0)
    assert not paired_difference("accuracy", targets, base, two, "classification").exceeds(1.0)


def test_certainty_of_a_loss_grows_with_the_rows_and_is_none_by_agreement_alone() -> None:
    def certain(n: int, differ: int, most: float = 0.01, metric: str = "accuracy") -> float:
        """Return it for two models of which each is wrong on half of the rows where they differ."""
        targets, half = np.zeros(n, dtype=np.int64), differ // 2
        first = _said([1] * half + [0] * (n - half))
        second = _said([0] * half + [1] * (differ - half) + [0] * (n - differ))
        return paired_difference(metric, targets, first, second, "classification").certainty(most)

    assert certain(100, 0) == pytest.approx(0.8413, abs=1e-4)  # one standard error, of one row
    assert certain(100, 10) == pytest.approx(0.6185, abs=1e-3)
    assert certain(10_000, 1000) > 0.999 > certain(1000, 100) > 0.8
    assert certain(100, 10, most=0.0) == 0.5
    assert certain(100, 0, metric="log_loss") == 1.0  # equal probabilities, of a metric without bounds


def test_model_without_finite_outputs_loses_to_any_other() -> None:
    targets = np.array([0, 1, 0, 1])
    fair, broken = _said([0, 1, 1, 0]), np.full((4, 2), np.nan)
    assert paired_difference("accuracy", targets, fair, broken, "classification").exceeds(1.0)
    assert not paired_difference("accuracy", targets, broken, fair, "classification").exceeds(1.0)
    assert not paired_difference("accuracy", targets, broken, broken, "classification").exceeds(1.0)


def _drawn(task: Task, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Targets, and two models that are equally good on average."""
    if task == "regression":
        targets = rng.normal(size=(n, 2))
        return targets, targets + rng.normal(size=(n, 2)), targets + rng.normal(size=(n, 2))
    if task == "multilabel":
        targets = (rng.random((n, 3)) < 0.4).astype(np.float32)
        first, second = (1 / (1 + np.exp(1 - 2 * targets - rng.normal(size=(n, 3)))) for _ in range(2))
        return targets, first, second
    labels = rng.choice(6, size=n, p=[0.4, 0.2, 0.1, 0.1, 0.1, 0.1])
    logits = rng.normal(size=(2, n, 6)) + 1.5 * np.eye(6)[labels]
    first, second = np.exp(logits) / np.exp(logits).sum(axis=2, keepdims=True)
    return labels, first, second


@pytest.mark.parametrize(
    ("metric", "task"), [(name, task) for name, spec in METRICS.items() for task in spec.tasks]
)
def test_standard_error_is_how_much_the_difference_varies_between_samples(metric: str, task: Task) -> None:
    rng = np.random.default_rng(1)
    drawn = [_drawn(task, 100, rng) for _ in range(60)]
    values = [[compute(metric, targets, scores, task) for scores in both] for targets, *both in drawn]
    spread = np.nanstd([first - second for first, second in values])
    errors = [paired_difference(metric, *one, task).error for one in drawn[:5]]
    assert np.median(errors) == pytest.approx(spread, rel=0.4)


@pytest.mark.parametrize(
    ("metric", "task"), [(name, task) for name, spec in METRICS.items() for task in spec.tasks]
)
def test_better_is_positive_for_the_better_model_by_every_metric(metric: str, task: Task) -> None:
    targets, first, _ = _drawn(task, 200, np.random.default_rng(0))
    worse = np.roll(first, 1, axis=0)  # the outputs of other rows
    found = paired_difference(metric, targets, first, worse, task)
    assert found.better > 0 and found.exceeds(1.0)
    assert found.first == compute(metric, targets, first, task)
    assert found.better == pytest.approx(abs(found.first - found.second))


@pytest.mark.parametrize("unit", [1e-25, 1e20])
@pytest.mark.parametrize("metric", ["rmse", "mae", "r2"])
def test_difference_of_regressions_does_not_depend_on_the_unit(metric: str, unit: float) -> None:
    rng = np.random.default_rng(0)
    targets = rng.normal(size=(50, 1)).astype(np.float32)
    first, second = (targets + rng.normal(size=(50, 1)).astype(np.float32) * wide for wide in (0.5, 0.7))
    plain = paired_difference(metric, targets, first, second, "regression")
    scaled = [(array * unit).astype(np.float32) for array in (targets, first, second)]
    found = paired_difference(metric, scaled[0], scaled[1], scaled[2], "regression")
    assert found.better / found.error == pytest.approx(plain.better / plain.error, rel=1e-4)
