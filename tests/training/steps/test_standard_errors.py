"""Standard errors, compared with those of rows drawn again."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from automl.config.metrics import METRICS
from automl.records import DatasetInfo, Task
from automl.training.steps.metrics import compute
from automl.training.steps.standard_errors import _ERRORS, allowed_loss, standard_error

N = 400


def info_of(task: Task, counts: tuple[int, ...], n_train: int) -> DatasetInfo:
    names = tuple("abcdefghij"[: len(counts)])
    return DatasetInfo("x", task, names, 3, 32, (0.5,) * 3, (0.2,) * 3, counts, "f", n_train, N, N, 0)


def drawn(metric: str, task: Task, difficulty: float) -> tuple[float, float, DatasetInfo]:
    """The value of a metric, its deviation over rows drawn again, and the data."""
    rng = np.random.default_rng(1)
    targets: Any
    if task == "classification":
        targets = rng.choice(3, N, p=[0.6, 0.3, 0.1])
        logits = 2.0 * np.eye(3)[targets] + difficulty * rng.normal(size=(N, 3))
        scores = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        info = info_of(task, (60, 30, 10), 100)
    elif task == "multilabel":
        targets = (rng.random((N, 3)) < [0.5, 0.2, 0.1]).astype(np.float32)
        scores = 1.0 / (1.0 + np.exp(-(2.0 * targets - 1.0 + difficulty * rng.normal(size=(N, 3)))))
        info = info_of(task, (50, 20, 10), 100)
    else:
        targets = rng.normal(size=(N, 1))
        scores = targets + 0.5 * difficulty * rng.normal(size=(N, 1))
        info = info_of(task, (100,), 100)
    rows = [rng.integers(0, N, N) for _ in range(300)]
    values = [compute(metric, targets[row], scores[row], task) for row in rows]
    return compute(metric, targets, scores, task), float(np.std(values)), info


CASES = [
    (name, task)
    for name, spec in METRICS.items()
    for task in spec.tasks
    if name != "top5_accuracy"  # three classes have no top five
]


@pytest.mark.parametrize(("metric", "task"), CASES)
@pytest.mark.parametrize("difficulty", [1.0, 2.0])
def test_standard_error_is_about_that_of_rows_drawn_again(metric: str, task: Task, difficulty: float) -> None:
    value, deviation, info = drawn(metric, task, difficulty)
    assert 0.5 < standard_error(metric, value, info, N) / deviation < 2.2


def test_every_metric_has_a_standard_error() -> None:
    assert set(_ERRORS) == set(METRICS)


def test_standard_errors_of_shares_are_binomial() -> None:
    even = info_of("classification", (50, 50), 100)
    assert standard_error("accuracy", 0.8, even, 400) == pytest.approx(0.02, rel=0.01)
    assert standard_error("balanced_accuracy", 0.8, even, 400) == pytest.approx(0.02, rel=0.01)


def test_no_score_is_certain() -> None:
    even = info_of("classification", (50, 50), 100)
    for value in (0.0, 1.0):
        for metric in ("accuracy", "balanced_accuracy", "f1", "roc_auc"):
            assert standard_error(metric, value, even, 50) > 0.0


def test_more_rows_are_worth_more() -> None:
    even = info_of("classification", (50, 50), 100)
    for metric in METRICS:
        assert standard_error(metric, 0.7, even, 4000) < 0.5 * standard_error(metric, 0.7, even, 400)


def test_a_value_that_is_not_finite_has_no_standard_error() -> None:
    assert math.isnan(standard_error("accuracy", math.nan, info_of("classification", (1, 1), 2), 10))


@pytest.mark.parametrize(
    ("metric", "value", "error", "most", "allowed"),
    [
        ("accuracy", 0.9, 0.01, None, 0.01),  # a point
        ("accuracy", 0.9, 0.06, None, 0.03),  # half a standard error
        ("accuracy", 0.9, math.nan, None, 0.01),
        ("accuracy", 0.9, 0.06, 0.0, 0.0),  # as asked
        ("mae", 20.0, 0.1, None, 0.2),  # a percent
        ("mae", 20.0, 1.0, None, 0.5),
        ("mae", 20.0, 1.0, 3.0, 3.0),
    ],
)
def test_allowed_loss_is_a_point_or_half_a_standard_error_unless_it_is_given(
    metric: str, value: float, error: float, most: float | None, allowed: float
) -> None:
    assert allowed_loss(metric, value, error, most) == pytest.approx(allowed)
