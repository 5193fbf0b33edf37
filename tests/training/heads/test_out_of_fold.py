"""Heads by cross-validation: no row is answered by a head that has seen it, and the metric is over all rows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from automl.data.folds import RowFolds
from automl.machine import Moment
from automl.records import Config, SearchSplits, Task
from automl.training.heads import Head, fit_linear_head
from automl.training.heads.out_of_fold import cross_validate
from automl.training.models.pretrained_weights import Weights
from tests.training.heads.other_targets import of_task
from tests.training.heads.test_feature_head import Scaler, certain, features


def drawn(folds: int = 4, repeats: int = 1, *, scores_trials: bool = False) -> RowFolds:
    of = [np.random.default_rng(k).permutation(np.arange(192) % folds) + 1 for k in range(repeats)]
    return RowFolds(np.arange(192), np.stack(of), scores_trials=scores_trials)


def every_row(head: Head, splits: SearchSplits) -> np.ndarray:
    model: Any = head.model
    x = np.empty((192, model.num_features))
    for rows in (splits.train, splits.val):
        x[np.load(rows.index)] = features(head, rows)
    return x


@pytest.fixture
def hard(splits: SearchSplits, tmp_path: Path) -> SearchSplits:
    """The same images, a quarter of them with another class, so that no head is right for all."""
    targets = np.load(splits.train.targets).copy()
    changed = np.random.default_rng(0).permutation(192)[:48]
    targets[changed] = (targets[changed] + 1) % 3
    np.save(tmp_path / "targets.npy", targets)
    parts = (replace(rows, targets=tmp_path / "targets.npy") for rows in (splits.train, splits.val))
    return SearchSplits(splits.info, *parts)


def test_answers_are_those_of_scikit_learn_on_the_other_folds(
    hard: SearchSplits, config: Config, weights: Weights
) -> None:
    folds = drawn(scores_trials=True)
    head = certain(hard, weights, config, folds=folds, views=1)
    found = head.out_of_fold
    assert found is not None and len(head.of_folds) == 3
    x, y, of = every_row(head, hard), np.load(hard.train.targets), folds.of[0]
    wanted = np.empty((192, 3))
    for fold in range(1, 5):
        others, scored = of != fold, of == fold
        scaler = Scaler(x[others])
        model = LogisticRegression(C=head.strength, tol=1e-8, max_iter=5000)
        model.fit(scaler.transform(x[others]), y[others])
        wanted[scored] = model.predict_proba(scaler.transform(x[scored]))
        if fold > 1:
            layer = head.of_folds[fold - 2]
            outputs = torch.from_numpy(layer(x[scored].astype(np.float32))).softmax(1).numpy()
            assert np.allclose(outputs, wanted[scored], atol=2e-3)
    assert np.allclose(torch.from_numpy(found.outputs).softmax(1).numpy(), wanted, atol=2e-3)
    assert found.rows.tolist() == list(range(192)) and found.targets.tolist() == y.tolist()
    assert found.value == pytest.approx(float((found.outputs.argmax(1) == y).mean()))
    assert (head.val_score, head.n_val, head.n_full) == (found.values[0], 192, 192)


def test_the_metric_is_over_all_rows_and_not_a_mean_of_folds(splits: SearchSplits) -> None:
    """Two classes that no fold has both of: the area under the curve exists over all rows alone."""
    y = torch.from_numpy(np.repeat([0, 1], 96))
    folds = RowFolds(np.arange(192), np.repeat([[1, 2]], 96, axis=1))
    info = replace(splits.info, classes=("a", "b"), class_counts=(96, 96))
    found = cross_validate(
        np.arange(192),
        y,
        folds,
        lambda _: lambda scored: np.stack([-scored, scored], axis=1) / 100.0,
        info=info,
        metric="roc_auc",
        until=Moment.now().later(10.0),
    )
    assert found is not None and found.values == (1.0,)


def test_repeats_are_other_folds_and_their_values_have_a_mean(
    hard: SearchSplits, config: Config, weights: Weights
) -> None:
    head = certain(hard, weights, config, folds=drawn(repeats=3), views=1)
    found = head.out_of_fold
    assert found is not None and len(found.values) == 3 and len(set(found.values)) > 1
    assert found.value == pytest.approx(np.mean(found.values))
    alone = certain(hard, weights, config, views=1)
    assert (head.val_score, head.n_val, head.of_folds) == (alone.val_score, 48, ())
    assert alone.out_of_fold is None


@pytest.mark.parametrize("task", ["multilabel", "regression"])
def test_other_tasks_are_cross_validated(
    task: Task, splits: SearchSplits, config: Config, weights: Weights, tmp_path: Path
) -> None:
    classes = np.load(splits.train.targets)
    targets = np.stack([classes == 0, classes == 1], axis=1).astype(np.float32)
    other = of_task(splits, task, targets, tmp_path)
    metric = "average_precision" if task == "multilabel" else "r2"
    folds = drawn(scores_trials=True)
    for head in (
        certain(other, weights, config, folds=folds, metric=metric, views=1),
        fit_linear_head(other, metric=metric, mode="max", until=Moment.now().later(30.0), folds=folds),
    ):
        assert head is not None and head.out_of_fold is not None
        assert head.out_of_fold.outputs.shape == (192, 2)
        assert head.val_score == head.out_of_fold.values[0] > 0.7


@pytest.mark.parametrize("on", ["pixels", "features"])
def test_random_labels_are_not_known_out_of_fold(
    on: str, splits: SearchSplits, config: Config, weights: Weights, tmp_path: Path
) -> None:
    np.save(tmp_path / "targets.npy", np.random.default_rng(1).permutation(np.arange(192) % 3))
    parts = (replace(rows, targets=tmp_path / "targets.npy") for rows in (splits.train, splits.val))
    other, folds = SearchSplits(splits.info, *parts), drawn(scores_trials=True)
    options: dict[str, Any] = {"folds": folds, "metric": "accuracy", "until": Moment.now().later(30.0)}
    if on == "pixels":
        head = fit_linear_head(other, mode="max", **options)
    else:
        head = certain(other, weights, config, **options)
    assert head is not None and head.out_of_fold is not None
    assert head.out_of_fold.value < 0.5


def test_without_time_there_is_no_cross_validation(splits: SearchSplits) -> None:
    def fit(_: np.ndarray) -> Any:
        raise AssertionError("the time was over")

    found = cross_validate(
        np.arange(192),
        torch.zeros(192, dtype=torch.long),
        drawn(),
        fit,
        info=splits.info,
        metric="accuracy",
        until=Moment.now().later(-1.0),
    )
    assert found is None
