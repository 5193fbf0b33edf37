"""Linear models on features: their penalty, weights of rows, missing classes, and the layer they become."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import nn

from automl.machine import Moment
from automl.records import DatasetInfo, SearchSplits
from automl.training.heads import fit
from automl.training.heads.features import Features
from automl.training.heads.fit import Fitting, Linear, Problem, Scale, one_blas_thread, solve


@pytest.fixture
def info(splits: SearchSplits) -> DatasetInfo:
    return splits.info


@pytest.fixture
def rows() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    y = np.arange(120) % 3
    x = rng.normal(size=(120, 20)).astype(np.float32)
    x[np.arange(120), y] += 1.0
    return x, y


def solved(
    info: DatasetInfo,
    x: np.ndarray,
    y: np.ndarray,
    strength: float = 0.1,
    *,
    start: Linear | None = None,
    **options: Any,
) -> Linear:
    how = Fitting(strength=strength, until=Moment.now().later(30.0), **options)
    with one_blas_thread():
        return solve(Problem.of(info, "none"), x, y, how, start)


def softmax(logits: np.ndarray) -> np.ndarray:
    return torch.from_numpy(logits).softmax(dim=1).numpy()


@pytest.mark.parametrize("classes", [2, 3])
def test_solution_is_that_of_scikit_learn(
    classes: int, info: DatasetInfo, rows: tuple[np.ndarray, np.ndarray]
) -> None:
    x, y = rows
    y = y % classes
    info = replace(info, classes=info.classes[:classes])
    own = LogisticRegression(C=0.1, tol=1e-9, max_iter=5000).fit(x.astype(np.float64), y)
    assert np.abs(softmax(solved(info, x, y)(x)) - own.predict_proba(x)).max() < 1e-4


def test_repeated_views_leave_the_solution_as_it_is(
    info: DatasetInfo, rows: tuple[np.ndarray, np.ndarray]
) -> None:
    x, y = rows
    twice = solved(info, np.concatenate([x, x]), np.concatenate([y, y]), views=2)
    assert np.abs(softmax(twice(x)) - softmax(solved(info, x, y)(x))).max() < 1e-4


@pytest.mark.parametrize("classes", [2, 3])
def test_start_does_not_change_the_solution(
    classes: int, info: DatasetInfo, rows: tuple[np.ndarray, np.ndarray]
) -> None:
    x, y = rows
    y = y % classes
    info = replace(info, classes=info.classes[:classes])
    warm = solved(info, x, y, start=solved(info, x, y, 10.0))
    assert np.abs(softmax(warm(x)) - softmax(solved(info, x, y)(x))).max() < 1e-4


@pytest.mark.parametrize("present", [[1], [0, 2]])
def test_class_without_rows_is_never_the_answer(
    present: list[int], info: DatasetInfo, rows: tuple[np.ndarray, np.ndarray]
) -> None:
    x, y = rows
    kept = np.isin(y, present)
    layer = solved(info, x[kept], y[kept])
    found = softmax(layer(x))
    assert set(found.argmax(axis=1)) <= set(present) and np.isfinite(found).all()
    assert found[:, [k for k in range(3) if k not in present]].max() < 0.01
    again = solved(info, x, y, start=layer)  # as the head on all rows begins
    assert np.abs(softmax(again(x)) - softmax(solved(info, x, y)(x))).max() < 1e-4


def test_weights_of_classes_are_weights_of_rows(
    info: DatasetInfo, rows: tuple[np.ndarray, np.ndarray]
) -> None:
    x, y = rows
    problem = Problem(info, np.array([1.0, 2.0, 5.0]))
    found = solve(problem, x, y, Fitting(strength=0.1, until=Moment.now().later(30.0)))
    own = LogisticRegression(C=0.1, tol=1e-9, max_iter=5000, class_weight={0: 1.0, 1: 2.0, 2: 5.0})
    expected = own.fit(x.astype(np.float64), y).predict_proba(x)
    assert np.abs(softmax(found(x)) - expected).max() < 1e-4


def test_label_that_always_applies_is_no_obstacle(
    info: DatasetInfo, rows: tuple[np.ndarray, np.ndarray]
) -> None:
    x, y = rows
    labels = np.stack([y == 0, y >= 0], axis=1).astype(np.float32)
    found = solved(replace(info, task="multilabel", classes=("a", "b")), x, labels)(x)
    assert (found[:, 1] > 5.0).all() and ((found[:, 0] > 0) == (y == 0)).mean() > 0.5


def test_loss_is_the_loss_of_the_solver(info: DatasetInfo, rows: tuple[np.ndarray, np.ndarray]) -> None:
    x, y = rows
    logits = solved(info, x, y)(x)
    expected = torch.nn.functional.cross_entropy(torch.from_numpy(logits), torch.from_numpy(y))
    assert Problem.of(info, "none").loss(logits, y) == pytest.approx(float(expected), abs=1e-6)
    labels = np.stack([y == 0, y == 1, y == 2], axis=1).astype(np.float32)
    multilabel = Problem.of(replace(info, task="multilabel"), "none")
    expected = torch.nn.functional.binary_cross_entropy_with_logits(
        torch.from_numpy(logits).double(), torch.from_numpy(labels).double()
    )
    assert multilabel.loss(logits, labels) == pytest.approx(float(expected), abs=1e-6)


def test_layer_takes_features_as_they_are(info: DatasetInfo, rows: tuple[np.ndarray, np.ndarray]) -> None:
    x, y = rows
    features = Features((100.0 + 7.0 * x)[None].astype(np.float32), torch.from_numpy(y))
    raw = features.values[0].copy()
    scale = Scale.of(features)
    scale.apply(features)
    assert np.abs(features.values.mean(axis=1)).max() < 1e-3
    found = solved(info, features.values[0], y)
    layer = nn.Linear(20, 3)
    scale.fold(found).put_into(layer)
    with torch.no_grad():
        assert np.abs(layer(torch.from_numpy(raw)).numpy() - found(features.values[0])).max() < 1e-3


def test_values_that_are_linear_in_the_features_are_found(info: DatasetInfo) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 10)).astype(np.float32)
    y = x @ rng.normal(size=(10, 2)).astype(np.float32) + 3.0
    regression = replace(info, task="regression", classes=("a", "b"))
    assert np.abs(solved(regression, x, y, 100.0)(x) - y).max() < 0.01


def test_fit_ends_when_the_time_is_over(
    info: DatasetInfo, rows: tuple[np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    x, y = np.random.default_rng(1).normal(size=(120, 100)).astype(np.float32), rows[1]
    monkeypatch.setattr(fit, "_WORK", 1.0)  # a look at the clock every ten iterations
    problem = Problem.of(info, "none")
    losses = []
    for seconds in (0.0, 30.0):
        how = Fitting(strength=1e4, until=Moment.now().later(seconds))
        with one_blas_thread():
            losses.append(problem.loss(solve(problem, x, y, how)(x), y))
    assert losses[1] < 0.1 * losses[0]
