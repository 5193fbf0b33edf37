"""Losses against sums done by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from automl.records import SearchSplits
from automl.training.losses import in_units, loss, standardised, to_scores


def test_classification_loss_of_equal_logits_is_the_log_of_the_classes() -> None:
    assert float(loss(torch.zeros(4, 5), torch.tensor([0, 1, 2, 3]), "classification")) == pytest.approx(
        math.log(5)
    )


def test_classification_loss_takes_soft_targets() -> None:
    logits = torch.tensor([[2.0, 0.0]])
    hard = [float(loss(logits, torch.tensor([k]), "classification")) for k in (0, 1)]
    soft = float(loss(logits, torch.tensor([[0.25, 0.75]]), "classification"))
    assert soft == pytest.approx(0.25 * hard[0] + 0.75 * hard[1])


def test_label_smoothing_moves_multilabel_targets_towards_a_half() -> None:
    logits, targets = torch.tensor([[3.0]]), torch.tensor([[1.0]])
    expected = loss(logits, torch.tensor([[0.95]]), "multilabel")
    assert torch.isclose(loss(logits, targets, "multilabel", 0.1), expected)


def test_scores_of_classification_sum_to_one_and_of_regression_stay() -> None:
    logits = torch.tensor([[1.0, 2.0, 3.0]])
    assert float(to_scores(logits, "classification").sum()) == pytest.approx(1.0)
    assert torch.equal(to_scores(logits, "regression"), logits)


def test_weights_of_classes_move_the_loss_towards_rare_ones() -> None:
    logits, targets = torch.tensor([[2.0, 0.0], [2.0, 0.0]]), torch.tensor([0, 1])
    each = [float(loss(logits[:1], torch.tensor([k]), "classification")) for k in (0, 1)]
    weighted = float(loss(logits, targets, "classification", weights=torch.tensor([1.0, 3.0])))
    assert weighted == pytest.approx((each[0] + 3 * each[1]) / 4)
    plain = loss(torch.zeros(1, 1), torch.ones(1, 1), "multilabel")
    assert float(loss(torch.zeros(1, 1), torch.ones(1, 1), "multilabel", weights=torch.tensor([2.0]))) == (
        pytest.approx(2 * float(plain))
    )


def test_standardised_targets_come_back_in_their_units(splits: SearchSplits) -> None:
    info = replace(
        splits.info, task="regression", classes=("x", "y"), target_mean=(10.0, 0.0), target_std=(2.0, 0.5)
    )
    targets = torch.tensor([[12.0, 1.0], [6.0, -0.5]])
    assert standardised(targets, info).tolist() == [[1.0, 2.0], [-2.0, -1.0]]
    assert torch.equal(in_units(standardised(targets, info), info), targets)
    assert torch.equal(standardised(torch.tensor([1, 2]), splits.info), torch.tensor([1, 2]))
