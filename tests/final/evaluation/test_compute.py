"""What an evaluation says of targets and scores, against scikit-learn."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from sklearn import metrics as sk

from automl.final.evaluation.compute import evaluation_of, metric_names, metric_scores
from automl.final.evaluation.record import Evaluation
from automl.records import Task
from automl.training.steps.trivial import trivial_answer, trivial_by_counts
from tests.final.evaluation.greys import predictor


def evaluated(
    targets: np.ndarray, scores: np.ndarray, task: Task, classes: tuple[str, ...], metric: str
) -> Evaluation:
    info = predictor(task, classes).info
    trivial = partial(trivial_by_counts, info=info)
    metrics = metric_scores(metric_names(metric, task), targets, scores, task, trivial=trivial)
    return evaluation_of(targets, scores, info, metric, metrics)


@pytest.fixture
def answers() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    targets = rng.integers(0, 4, 120)
    scores = rng.random((120, 4)) + 0.8 * np.eye(4)[targets]
    return targets, scores / scores.sum(axis=1, keepdims=True)


def test_classes_and_confusion_are_those_of_scikit_learn(answers: tuple[np.ndarray, np.ndarray]) -> None:
    targets, scores = answers
    found = evaluated(targets, scores, "classification", ("a", "b", "c", "d"), "f1")
    said = scores.argmax(axis=1)
    expected = sk.precision_recall_fscore_support(targets, said)
    assert [row.label for row in found.per_class] == ["a", "b", "c", "d"]
    for name, values in zip(("precision", "recall", "f1", "support"), expected, strict=True):
        assert [getattr(row, name) for row in found.per_class] == pytest.approx(list(values))
    assert np.array_equal(found.matrix(), sk.confusion_matrix(targets, said))
    assert list(found.metrics) == ["f1", "accuracy", "balanced_accuracy", "log_loss"]
    assert found.metrics["accuracy"].value == pytest.approx(sk.accuracy_score(targets, said))
    assert found.metrics["accuracy"].low < found.metrics["accuracy"].value < found.metrics["accuracy"].high


def test_most_confused_pair_comes_first_with_its_share(answers: tuple[np.ndarray, np.ndarray]) -> None:
    found = evaluated(*answers, "classification", ("a", "b", "c", "d"), "accuracy")
    counts = found.matrix()
    np.fill_diagonal(counts, 0)
    first = found.confused()[0]
    place = ("abcd".index(first.label), "abcd".index(first.predicted))
    assert first.count == counts.max() == counts[place]
    assert first.share == pytest.approx(first.count / found.per_class[place[0]].support)
    assert found.confused(1) == [first]


def test_class_without_images_or_answers_is_not_defined_and_not_the_worst() -> None:
    targets = np.array([0, 0, 1, 1])
    scores = np.eye(4)[[0, 0, 0, 3]]
    found = evaluated(targets, scores, "classification", ("a", "b", "c", "d"), "accuracy")
    by_name = {row.label: row for row in found.per_class}
    assert np.isnan(by_name["c"].f1) and np.isnan(by_name["b"].precision) and by_name["b"].recall == 0.0
    assert np.isnan(by_name["d"].recall) and by_name["d"].f1 == 0.0
    assert [row.label for row in found.worst()] == ["b", "a", "d"]


def test_labels_have_their_average_precision_and_threshold() -> None:
    rng = np.random.default_rng(1)
    targets = (rng.random((60, 3)) < 0.4).astype(np.float32)
    targets[:, 2] = 0.0
    scores = np.clip(0.4 * targets + 0.6 * rng.random((60, 3)), 0, 1).astype(np.float32)
    found = evaluated(targets, scores, "multilabel", ("x", "y", "z"), "average_precision")
    for k in (0, 1):
        row = found.per_class[k]
        assert row.average_precision == pytest.approx(sk.average_precision_score(targets[:, k], scores[:, k]))
        assert row.precision == pytest.approx(sk.precision_score(targets[:, k], scores[:, k] >= 0.5))
        assert row.recall == pytest.approx(sk.recall_score(targets[:, k], scores[:, k] >= 0.5))
        assert row.threshold == 0.5
    assert np.isnan(found.per_class[2].average_precision or 0.0)
    assert found.confusion == {} and found.calibration is not None


def test_regression_has_errors_by_the_size_of_the_target() -> None:
    targets = np.arange(50, dtype=np.float32)[:, None]
    scores = targets + np.where(targets >= 40, 8.0, 1.0).astype(np.float32)
    found = evaluated(targets, scores, "regression", ("age",), "rmse")
    age = found.targets[0]
    assert age.r2 == pytest.approx(sk.r2_score(targets, scores))
    assert age.mae == pytest.approx(sk.mean_absolute_error(targets, scores))
    assert age.rmse == pytest.approx(float(np.sqrt(sk.mean_squared_error(targets, scores))))
    assert [(part.low, part.high, part.n) for part in age.bins][-1] == (40.0, 49.0, 10)
    assert [part.mae for part in age.bins] == pytest.approx([1, 1, 1, 1, 8])
    assert [part.bias for part in age.bins] == pytest.approx([1, 1, 1, 1, 8])


def test_one_row_of_a_regression_has_no_share_of_variance() -> None:
    found = evaluated(np.array([[3.0]]), np.array([[4.0]]), "regression", ("age",), "mae")
    assert np.isnan(found.targets[0].r2) and found.targets[0].mae == 1.0


@pytest.mark.parametrize(
    ("task", "metrics"),
    [
        ("classification", ("accuracy", "balanced_accuracy", "log_loss", "top5_accuracy")),
        ("multilabel", ("average_precision", "f1", "log_loss")),
        ("regression", ("rmse", "r2")),
    ],
)
def test_trivial_answer_from_counts_is_that_from_the_targets(task: Task, metrics: tuple[str, ...]) -> None:
    rng = np.random.default_rng(2)
    if task == "classification":
        targets = rng.choice(3, 200, p=[0.2, 0.7, 0.1])
        counts = tuple(np.bincount(targets, minlength=3).tolist())
    else:
        targets = (rng.random((200, 3)) < [0.2, 0.7, 0.4]).astype(np.float32)
        counts = tuple(int(count) for count in (targets > 0).sum(axis=0))
    mean = tuple(targets.mean(axis=0, dtype=np.float64).tolist()) if task == "regression" else ()
    more = {"n_train": 200, "class_counts": counts, "target_mean": mean, "target_std": (1.0,) * len(mean)}
    info = predictor(task, ("a", "b", "c"), **more).info
    for metric in metrics:
        expected, found = trivial_answer(metric, targets, info), trivial_by_counts(metric, info)
        assert found.words == expected.words
        assert found.score(metric, targets, task) == pytest.approx(expected.score(metric, targets, task))
