"""A model is usable if it is better than the trivial answer by more than chance explains."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from automl.config.metrics import METRICS
from automl.final.evidence import paired
from automl.final.evidence.usable import Usability, judge_usable, trivial_scores
from automl.final.evidence.words import not_usable
from automl.records import Interval, Task
from tests.final.evidence.literals import INFO

TRAIN = np.array([0] * 71 + [1] * 29)
HOLDOUT = np.array([0] * 71 + [1] * 29)


def is_usable(*given: Any, **options: Any) -> bool:
    return judge_usable(*given, **options).usable


def usable(said: np.ndarray, metric: str = "accuracy") -> bool:
    scores = np.eye(2)[said]
    return is_usable(metric, HOLDOUT, scores, TRAIN, INFO)


def flipped(wrong_zeros: int, right_ones: int) -> np.ndarray:
    said = np.zeros(100, dtype=int)
    said[:wrong_zeros] = 1
    said[71 : 71 + right_ones] = 1
    return said


@pytest.mark.parametrize(
    ("wrong_zeros", "right_ones", "expected"),
    [
        (0, 0, False),  # always the largest class
        (30, 0, False),  # accuracy .41, where the largest class has .71
        (5, 8, False),  # (8 - 5) / sqrt(13) = 0.8 standard errors
        (5, 14, True),  # (14 - 5) / sqrt(19) = 2.1
        (0, 2, False),  # 1.4
        (0, 3, True),  # 1.7
        (0, 29, True),
    ],
)
def test_accuracy_must_beat_the_largest_class_by_more_than_chance(
    wrong_zeros: int, right_ones: int, expected: bool
) -> None:
    assert usable(flipped(wrong_zeros, right_ones)) is expected


def test_balanced_accuracy_is_compared_with_chance() -> None:
    assert not usable(flipped(0, 0), "balanced_accuracy")
    assert usable(flipped(20, 20), "balanced_accuracy")  # accuracy below that of the largest class
    assert not usable(flipped(20, 20))


@pytest.mark.parametrize(
    ("metric", "task"), [(name, task) for name, spec in METRICS.items() for task in spec.tasks]
)
def test_every_metric_tells_knowledge_from_chance(
    metric: str, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        paired, "RESAMPLES", paired.FEWEST_RESAMPLES
    )  # as with many rows, in a third of the time
    rng, n = np.random.default_rng(0), 150
    k = 7 if metric == "top5_accuracy" else 3  # an area under a curve takes its time for each class
    info = replace(INFO, task=task, classes=tuple("abcdefg"[:k]), class_counts=(1,) * k)
    targets: np.ndarray
    if task == "classification":
        targets = rng.choice(k, n, p=[0.4, *[0.6 / (k - 1)] * (k - 1)])
        logits = rng.normal(size=(n, k)) + 2.0 * np.eye(k)[targets]
        scores = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    elif task == "multilabel":
        targets = (rng.random((n, k)) < 0.3).astype(np.float32)
        scores = 1 / (1 + np.exp(2 - 4 * targets - rng.normal(size=(n, k))))
    else:
        targets = rng.normal(size=(n, k))
        scores = targets + 0.7 * rng.normal(size=(n, k))
    train = np.roll(targets, 7, axis=0)
    assert is_usable(metric, targets, scores, train, info)
    others = [scores[rng.permutation(n)] for _ in range(6)]  # the outputs for other images
    lucky = sum(is_usable(metric, targets, other, train, info) for other in others)
    assert lucky <= 1  # of 6, at 5 %
    assert not is_usable(metric, targets, np.full_like(scores, np.nan), train, info)


@pytest.mark.parametrize(("low", "expected"), [(0.72, True), (0.70, False)])
def test_no_verdict_contradicts_the_interval_beside_it(low: float, expected: bool) -> None:
    scores = np.eye(2)[flipped(5, 8)]  # .74 where the largest class has .71: within chance, paired
    assert not is_usable("accuracy", HOLDOUT, scores, TRAIN, INFO)
    assert is_usable("accuracy", HOLDOUT, scores, TRAIN, INFO, held=Interval(0.74, low, 0.8)) is expected


def test_interval_of_an_error_lies_below() -> None:
    targets = np.array([[0.0], [1.0]] * 20)
    train, info = targets, replace(INFO, task="regression", classes=("size",))
    poor = np.full((40, 1), 0.5) + np.tile([[0.01], [-0.02]], (20, 1))
    found = [
        is_usable("rmse", targets, poor, train, info, held=Interval(0.5, low, high))
        for low, high in ((0.3, 0.4), (0.3, 0.6))
    ]
    assert found == [True, False]


def test_metric_that_is_not_defined_for_the_holdout_speaks_against_no_model() -> None:
    one_class = np.zeros(10, dtype=int)
    assert is_usable("roc_auc", one_class, np.eye(2)[one_class], TRAIN, INFO)


def test_one_class_for_all_rows_is_never_usable() -> None:
    """The largest class of the training rows is the rare one here, so another class beats it without looking."""
    bees = np.array([0] * 30 + [1] * 70)
    always = np.eye(2)[np.ones(100, dtype=int)]
    held = Interval(0.7, 0.6, 0.8)
    assert not is_usable("accuracy", bees, always, TRAIN, INFO, held=held)
    once = always.copy()
    once[0] = [1.0, 0.0]
    assert is_usable("accuracy", bees, once, TRAIN, INFO, held=held)


def test_rare_class_that_is_ranked_but_never_answered_may_be_usable_by_roc_auc() -> None:
    sure = np.where(HOLDOUT == 1, 0.4, 0.1)
    assert is_usable("roc_auc", HOLDOUT, np.stack([1 - sure, sure], axis=1), TRAIN, INFO)
    flat = np.full(100, 0.4)
    assert not is_usable("log_loss", HOLDOUT, np.stack([1 - flat, flat], axis=1), 1 - TRAIN, INFO)


def test_one_value_for_all_rows_is_never_usable() -> None:
    info = replace(INFO, task="regression", classes=("size",))
    targets = np.tile([[5.0], [6.0]], (20, 1))
    train = targets - 4.0  # their mean is far from the holdout's
    held = Interval(0.5, 0.4, 0.6)
    assert not is_usable("rmse", targets, np.full((40, 1), 5.5), train, info, held=held)
    assert is_usable("rmse", targets, np.tile([[5.4], [5.6]], (20, 1)), train, info, held=held)


def test_trivial_scores_name_the_answer_by_each_metric() -> None:
    found = trivial_scores(["accuracy", "balanced_accuracy"], TRAIN, HOLDOUT[20:], INFO)
    assert found["accuracy"].words == "always 'no'"
    assert found["accuracy"].value == pytest.approx(51 / 80)
    assert (found["balanced_accuracy"].value, found["balanced_accuracy"].words) == (0.5, "chance")


def said_of(metric: str, value: float, found: Usability) -> str:
    document = {
        "metric": metric,
        "data": {"n_holdout": 100},
        "holdout": {metric: {"value": value}},
        "usable": found.usable,
        "usable_test": found.to_json(),
        "trivial": {metric: 0.0},
        "trivial_words": {metric: "always no label"},
    }
    return not_usable(document)


def test_verdict_that_the_interval_seems_to_deny_names_the_test_that_decided() -> None:
    """By f1, guesses are far better than the trivial answer: the interval says nothing about them."""
    rng = np.random.default_rng(3)
    info = replace(INFO, task="multilabel", classes=("a", "b"), class_counts=(20, 20))
    targets = (rng.random((100, 2)) < 0.2).astype(np.float32)
    guesses = (rng.random((100, 2)) < 0.5).astype(np.float64)
    value, held = 0.3, Interval(0.3, 0.2, 0.4)
    found = judge_usable("f1", targets, guesses, np.zeros_like(targets), info, held=held)
    assert not found.usable and found.test == "random order"
    assert 0.1 < found.against < 0.5 and found.errors < 1.645
    how = f"{abs(found.errors):.2f} standard deviations {'worse' if found.errors < 0 else 'better'}"
    assert said_of("f1", value, found) == (
        f"Not usable: f1 0.3000 on 100 holdout images is not better than its own answers in random order "
        f"({found.against:.4f}) by more than chance explains (permutation test: {how}, of the 1.645 that are needed)."
    )


def test_paired_test_is_named_with_its_outcome() -> None:
    found = judge_usable("accuracy", HOLDOUT, np.eye(2)[flipped(5, 8)], TRAIN, INFO)
    assert said_of("accuracy", 0.74, found).endswith(
        "(McNemar's test: 0.83 standard errors better, of the 1.645 that are needed)."
    )
    assert judge_usable("accuracy", HOLDOUT, np.eye(2)[flipped(0, 0)], TRAIN, INFO).test == "one answer"
