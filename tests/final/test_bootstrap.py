"""Resampled values agree with scikit-learn's on resampled rows."""

from __future__ import annotations

import time

import numpy as np
import pytest

from automl.final.bootstrap import resampled
from automl.records import Task
from automl.training.steps.metrics import compute


def drawn(task: Task, n: int = 300) -> tuple[np.ndarray, np.ndarray]:
    """Targets and scores that are right more often than not."""
    rng = np.random.default_rng(5)
    if task == "classification":
        targets = rng.choice(4, n, p=[0.6, 0.3, 0.07, 0.03])
        return targets, rng.dirichlet(np.ones(4), n) * 0.5 + np.eye(4)[targets] * 0.5
    if task == "multilabel":
        targets = (rng.random((n, 3)) < 0.4).astype(np.int64)
        return targets, np.clip(0.5 * targets + 0.5 * rng.random((n, 3)), 0, 1)
    values = rng.normal(size=(n, 2))
    return values, values + rng.normal(size=(n, 2))


CASES: list[tuple[str, Task]] = [
    ("balanced_accuracy", "classification"),
    ("f1", "classification"),
    ("cohen_kappa", "classification"),
    ("log_loss", "classification"),
    ("roc_auc", "classification"),
    ("f1", "multilabel"),
    ("log_loss", "multilabel"),
    ("average_precision", "multilabel"),
    ("rmse", "regression"),
    ("mae", "regression"),
    ("r2", "regression"),
]


@pytest.mark.parametrize(("name", "task"), CASES)
def test_resampled_values_have_the_distribution_of_the_metric_on_resampled_rows(
    name: str, task: Task
) -> None:
    targets, scores = drawn(task)
    found = resampled(name, targets, scores, task, seed=1)
    rng = np.random.default_rng(2)
    rows = [rng.integers(0, len(targets), len(targets)) for _ in range(400)]
    slow = np.array([compute(name, targets[r], scores[r], task) for r in rows])
    error = 4 * slow.std() * np.sqrt(2 / len(slow))
    assert np.mean(found) == pytest.approx(slow.mean(), abs=error)
    assert np.std(found) == pytest.approx(slow.std(), rel=0.2)


@pytest.mark.parametrize(("name", "task"), CASES)
def test_rows_that_are_all_alike_give_the_metric_itself(name: str, task: Task) -> None:
    if name in ("r2", "cohen_kappa", "roc_auc", "average_precision"):
        pytest.skip("not defined where all rows are alike")
    targets, scores = (part[:1].repeat(50, axis=0) for part in drawn(task))
    found = resampled(name, targets, scores, task, seed=1)
    assert found == pytest.approx(compute(name, targets, scores, task), abs=1e-6)


def test_metrics_of_a_classification_take_a_fraction_of_a_second() -> None:
    rng = np.random.default_rng(0)
    targets, scores = rng.integers(0, 100, 10_000), rng.dirichlet(np.ones(100), 10_000).astype(np.float32)
    begun = time.process_time()
    for name in ("balanced_accuracy", "f1", "log_loss"):
        resampled(name, targets, scores, "classification", seed=0)
    assert time.process_time() - begun < 5.0
