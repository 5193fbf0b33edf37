"""Rare classes."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from automl.data.balance import choose_balance, class_weights, row_weights, skew
from automl.data.loading.batches import Batches
from automl.errors import ConfigError
from automl.records import DatasetInfo
from tests.data.conftest import MakeRows


@pytest.fixture
def info(make_rows: MakeRows) -> DatasetInfo:
    """Three classes of 90, 10 and 5 training rows."""
    return replace(make_rows()[1], class_counts=(90, 10, 5), n_train=105)


@pytest.mark.parametrize(
    ("changes", "metric", "choice", "why"),
    [
        ({}, "balanced_accuracy", "sampler", "Balance: sampler .* 18 times the images of the smallest"),
        ({}, "accuracy", "none", "accuracy does not weigh classes equally"),
        ({"class_counts": (30, 20, 10)}, "accuracy", "none", "^$"),
        ({"class_counts": (30, 20, 18)}, "f1", "none", "^$"),
        ({"class_counts": (30, 20, 10)}, "f1", "sampler", "3 times"),
        ({"task": "multilabel"}, "average_precision", "none", "does not weigh"),
        ({"task": "regression"}, "rmse", "none", "^$"),
    ],
)
def test_auto_goes_by_sizes_and_metric(
    info: DatasetInfo, changes: dict[str, Any], metric: str, choice: str, why: str
) -> None:
    found, sentence = choose_balance("auto", replace(info, **changes), metric)
    assert found == choice
    assert re.search(why, sentence)


def test_asked_balance_is_kept(info: DatasetInfo) -> None:
    for asked in ("none", "loss", "sampler"):
        assert choose_balance(asked, info, "accuracy") == (asked, "")


def test_regression_cannot_be_balanced(info: DatasetInfo) -> None:
    with pytest.raises(ConfigError, match="balance must be auto or none for a regression, got 'loss'"):
        choose_balance("loss", replace(info, task="regression"), "rmse")


def test_skew_of_labels_counts_their_absence(info: DatasetInfo) -> None:
    assert skew(info) == 18
    assert skew(replace(info, task="multilabel", class_counts=(95, 50, 50))) == 9.5


def test_class_weights_have_mean_one_over_rows(info: DatasetInfo) -> None:
    weights = np.array(class_weights(info))
    assert (weights * info.class_counts).sum() / 105 == pytest.approx(1)
    assert weights[2] / weights[0] == pytest.approx(18**0.5)
    several = class_weights(replace(info, task="multilabel", class_counts=(90, 21, 0)))
    assert several == pytest.approx((1, 2, 1))


def test_row_weights_give_each_class_the_same_chance() -> None:
    weights = row_weights(np.array([0, 0, 0, 1]), 2).numpy()
    assert weights[:3].sum() == pytest.approx(weights[3])
    several = row_weights(np.array([[1, 0], [1, 0], [1, 1], [0, 0]], dtype=np.float32), 2).numpy()
    assert several.tolist() == pytest.approx([1 / 3, 1 / 3, 1, 1])


def test_balanced_batches_draw_classes_alike_and_repeat(make_rows: MakeRows) -> None:
    rows, info = make_rows(200)
    targets = np.zeros(400, dtype=np.int64)
    targets[np.load(rows.index)[:10]] = 1
    np.save(rows.targets, targets)
    batches = Batches(rows, batch_size=50, info=info, shuffle=True, balanced=True, seed=3, device="cpu")
    first, again, second = (np.concatenate([y.numpy() for _, y in batches.epoch(n)]) for n in (0, 0, 1))
    assert len(first) == 200
    assert 70 < first.sum() < 130
    assert np.array_equal(first, again)
    assert not np.array_equal(first, second)
