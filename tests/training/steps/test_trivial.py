"""The trivial answer of each task and metric."""

from __future__ import annotations

import numpy as np
import pytest

from automl.config.metrics import METRICS
from automl.records import DatasetInfo, Task
from automl.training.steps.trivial import trivial_answer

TRAIN = np.array([0] * 70 + [1] * 20 + [2] * 10)
VAL = np.array([0] * 7 + [1] * 2 + [2] * 1)


def info_of(task: Task, *classes: str) -> DatasetInfo:
    return DatasetInfo(
        "x", task, classes, 3, 32, (0.5,) * 3, (0.2,) * 3, (1,) * len(classes), "f", 100, 10, 10, 0
    )


CLASSES = info_of("classification", "Free", "Crack", "Blowhole")


@pytest.mark.parametrize(
    ("metric", "value", "words"),
    [
        ("accuracy", 0.7, "always 'Free'"),
        ("balanced_accuracy", 1 / 3, "chance"),
        ("f1", 2 * 0.7 / 1.7 / 3, "always 'Free'"),
        ("cohen_kappa", 0.0, "chance"),
        ("roc_auc", 0.5, "chance"),
        (
            "log_loss",
            -(0.7 * np.log(0.7) + 0.2 * np.log(0.2) + 0.1 * np.log(0.1)),
            "the shares of the classes",
        ),
    ],
)
def test_trivial_answer_of_a_classification(metric: str, value: float, words: str) -> None:
    found = trivial_answer(metric, TRAIN, CLASSES)
    assert found.score(metric, VAL, "classification") == pytest.approx(value)
    assert found.words == words


def test_trivial_answer_of_labels_is_the_better_of_none_and_all() -> None:
    info = info_of("multilabel", "a", "b")
    common = np.array([[1, 1], [1, 0], [1, 1], [0, 1]], dtype=np.float32)
    assert trivial_answer("f1", common, info).score("f1", common, "multilabel") == pytest.approx(6 / 7)
    rare = np.zeros((10, 2), dtype=np.float32)
    rare[0], rare[1, 0] = 1, 1
    assert trivial_answer("f1", rare, info).words == "always every label"
    precision = trivial_answer("average_precision", rare, info)
    assert precision.score("average_precision", rare, "multilabel") == pytest.approx((0.2 + 0.1) / 2)
    assert precision.words == "chance"


def test_trivial_answer_of_a_regression_is_the_mean_or_the_median() -> None:
    info = info_of("regression", "size")
    targets = np.array([[0.0], [0.0], [9.0]])
    assert trivial_answer("rmse", targets, info).outputs == (3.0,)
    assert trivial_answer("r2", targets, info).score("r2", targets, "regression") == pytest.approx(0.0)
    median = trivial_answer("mae", targets, info)
    assert (median.outputs, median.words) == ((0.0,), "the median")


def test_every_metric_has_a_trivial_answer() -> None:
    wide = info_of("classification", *"abcdefg")
    many = np.arange(70) % 7
    for name, spec in METRICS.items():
        if "classification" in spec.tasks:
            assert np.isfinite(trivial_answer(name, many, wide).score(name, many, "classification"))
