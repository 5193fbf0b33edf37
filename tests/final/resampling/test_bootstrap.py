"""Resampled values agree with scikit-learn's on resampled rows."""

from __future__ import annotations

import time

import numpy as np
import pytest

from automl.final.resampling.bootstrap import drawn_counts, resampled
from automl.final.resampling.weighted_metrics import counts_classes, weighted
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
    ("roc_auc", "multilabel"),
    ("f1", "multilabel"),
    ("log_loss", "multilabel"),
    ("average_precision", "multilabel"),
    ("rmse", "regression"),
    ("mae", "regression"),
    ("r2", "regression"),
]


@pytest.mark.parametrize(
    ("name", "task"), [case for case in CASES if counts_classes(case[0]) or case[0] == "r2"]
)
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


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize(
    ("name", "task"), [*CASES, ("accuracy", "classification"), ("top5_accuracy", "classification")]
)
def test_every_resample_has_the_value_of_scikit_learn_on_its_rows(name: str, task: Task, ties: bool) -> None:
    """Some of the resamples lack the rarest class."""
    targets, scores = drawn(task, 80)
    if ties and task != "regression":
        scores = scores.round(1)
        scores = scores if task == "multilabel" else scores / scores.sum(axis=1, keepdims=True)
    counts = drawn_counts(80, 60, np.random.default_rng(3))
    assert (counts.sum(axis=1) == 80).all() and counts.std() > 0.5
    rows = [np.repeat(np.arange(80), times) for times in counts]
    expected = [compute(name, targets[r], scores[r], task) for r in rows]
    found = weighted(name, targets, scores, task, counts)
    assert found == pytest.approx(np.array(expected), abs=1e-9, nan_ok=True)
    assert np.isfinite(found).mean() > 0.1


def test_two_classes_have_one_area_under_the_curve() -> None:
    targets, scores = np.array([0, 1, 0, 1]), np.array([[0.9, 0.1], [0.4, 0.6], [0.3, 0.7], [0.2, 0.8]])
    found = weighted("roc_auc", targets, scores, "classification", np.array([[1, 1, 1, 1], [1, 3, 1, 0]]))
    assert found == pytest.approx([0.75, 0.5])


def test_values_that_are_the_same_explain_no_variance() -> None:
    """scikit-learn's convention: 1 for no error, 0 otherwise."""
    targets, scores = np.array([[0.1], [0.1], [7.0]]), np.array([[0.1], [0.2], [7.0]])
    found = weighted("r2", targets, scores, "regression", np.array([[3, 0, 0], [0, 3, 0], [1, 1, 1]]))
    assert found == pytest.approx([1.0, 0.0, compute("r2", targets, scores, "regression")])


def test_outputs_that_are_not_finite_have_no_value() -> None:
    targets, scores = drawn("multilabel", 5)
    scores[0, 0] = np.nan
    assert np.isnan(resampled("average_precision", targets, scores, "multilabel", seed=0)).all()


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


@pytest.mark.parametrize(("n", "labels"), [(73, 6), (10_000, 20)])
def test_metrics_of_labels_take_a_fraction_of_a_second(n: int, labels: int) -> None:
    rng = np.random.default_rng(0)
    targets, scores = (rng.random((n, labels)) < 0.3).astype(np.int64), rng.random((n, labels))
    begun = time.process_time()
    for name in ("average_precision", "f1", "roc_auc", "log_loss"):
        resampled(name, targets, scores, "multilabel", seed=0)
    assert time.process_time() - begun < (1.0 if n < 100 else 8.0)


@pytest.mark.parametrize("metric", ["rmse", "mae", "r2"])
def test_interval_of_a_regression_does_not_depend_on_the_unit(metric: str) -> None:
    rng = np.random.default_rng(0)
    targets = rng.normal(size=(40, 1))
    scores, ones = targets + 0.5 * rng.normal(size=(40, 1)), np.ones((1, 40))
    plain = float(weighted(metric, targets, scores, "regression", ones)[0])
    for unit in (1e-25, 1e20):
        scaled = [(array * unit).astype(np.float32) for array in (targets, scores)]
        found = float(weighted(metric, scaled[0], scaled[1], "regression", ones)[0])
        assert found == pytest.approx(plain if metric == "r2" else plain * unit, rel=1e-4)
