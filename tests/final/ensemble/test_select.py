"""Greedy selection of the members of an ensemble."""

from __future__ import annotations

import numpy as np
import pytest

from automl.final.ensemble.select import MOST, clearly_lower, loss_of, row_losses, select
from automl.records import Task

TARGETS = np.array([0, 1, 0, 1])


def sure(*of_first: float) -> np.ndarray:
    """Probabilities of two classes."""
    first = np.array(of_first)
    return np.stack([first, 1.0 - first], axis=1)


def test_models_that_are_wrong_about_other_rows_join() -> None:
    one, other = sure(0.9, 0.1, 0.9, 0.7), sure(0.9, 0.1, 0.3, 0.1)
    found = select([one, other], TARGETS, "classification")
    assert set(found.order) == {0, 1} and found.order[0] == 0
    assert list(found.losses) == sorted(found.losses, reverse=True)
    assert found.losses[-1] == pytest.approx(loss_of(found.mean([one, other]), TARGETS, "classification"))
    assert sum(found.counts.values()) == len(found.order) <= MOST


def test_nothing_joins_a_model_that_is_better_than_any_mean() -> None:
    best, poor = sure(0.99, 0.01, 0.99, 0.01), sure(0.4, 0.6, 0.5, 0.5)
    found = select([best, poor, best], TARGETS, "classification")
    assert found.order == (0,) and len(found.losses) == 1


def test_better_model_outweighs_the_first_one_by_replacement() -> None:
    poor, best = sure(0.5, 0.5, 0.5, 0.6), sure(0.95, 0.05, 0.95, 0.05)
    counts = select([poor, best], TARGETS, "classification").counts
    assert counts[0] == 1 and counts[1] > 5


@pytest.mark.parametrize(
    ("task", "targets", "right", "wrong"),
    [
        ("classification", np.array([0, 1]), sure(0.9, 0.1), sure(0.1, 0.9)),
        ("multilabel", np.array([[0, 1], [1, 1]]), np.array([[0.1, 0.9], [0.9, 0.9]]), np.full((2, 2), 0.5)),
        ("regression", np.array([[1.0], [3.0]]), np.array([[1.1], [2.9]]), np.array([[3.0], [1.0]])),
    ],
)
def test_loss_is_lower_for_the_better_answers_of_every_task(
    task: Task, targets: np.ndarray, right: np.ndarray, wrong: np.ndarray
) -> None:
    assert loss_of(right, targets, task) < loss_of(wrong, targets, task)
    assert row_losses(right, targets, task).shape == (2,)
    assert np.isfinite(row_losses(np.round(wrong), targets, task)).all()


def test_loss_is_clearly_lower_only_beyond_the_error_of_the_difference() -> None:
    targets = np.zeros(40, dtype=np.int64)
    before = np.full((40, 2), 0.5)
    gains = np.where(np.arange(40) % 2 == 0, 0.06, -0.05)  # a lower loss on average, but of either sign
    mixed = np.stack([0.5 + gains, 0.5 - gains], axis=1)
    steady = np.stack([0.51 + 0.001 * np.arange(40), 0.49 - 0.001 * np.arange(40)], axis=1)
    assert loss_of(mixed, targets, "classification") < loss_of(before, targets, "classification")
    assert not clearly_lower(before, mixed, targets, "classification")
    assert clearly_lower(before, steady, targets, "classification")
    assert not clearly_lower(before, before, targets, "classification")
    assert not clearly_lower(steady, before, targets, "classification")
