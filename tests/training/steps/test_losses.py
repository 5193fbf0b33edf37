"""Losses against values computed by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from automl.records import SearchSplits, Task
from automl.training.steps.losses import in_units, loss, standardised, to_scores


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
    assert weighted == pytest.approx((each[0] + 3 * each[1]) / 2)
    plain = loss(torch.zeros(1, 1), torch.ones(1, 1), "multilabel")
    assert float(loss(torch.zeros(1, 1), torch.ones(1, 1), "multilabel", weights=torch.tensor([2.0]))) == (
        pytest.approx(2 * float(plain))
    )


def test_focal_loss_weighs_a_row_by_what_its_probability_lacks() -> None:
    logits = torch.tensor([[2.0, 0.0], [2.0, 0.0]])
    p = logits.softmax(dim=1)
    for k in (0, 1):
        found = float(loss(logits, torch.tensor([k, k]), "classification", focal=2.0))
        assert found == pytest.approx(float((1 - p[0, k]) ** 2 * -p[0, k].log()))
    q = float(torch.sigmoid(torch.tensor(1.5)))
    found = float(loss(torch.tensor([[1.5]]), torch.tensor([[1.0]]), "multilabel", focal=2.0))
    assert found == pytest.approx((1 - q) ** 2 * -math.log(q))
    values = torch.tensor([[0.5]]), torch.tensor([[1.5]])
    assert loss(*values, "regression", focal=2.0) == loss(*values, "regression")


@pytest.mark.parametrize("focal", [0.0, 2.0])
def test_parts_of_a_batch_add_up_to_the_whole(focal: float) -> None:
    generator = torch.Generator().manual_seed(0)
    logits, targets = torch.randn(12, 3, generator=generator), torch.arange(12) % 3
    labels = (torch.rand(12, 3, generator=generator) < 0.4).float()
    weights = torch.tensor([1.0, 4.0, 0.5])
    cases: list[tuple[Task, Tensor]] = [
        ("classification", targets),
        ("multilabel", labels),
        ("regression", labels),
    ]
    for task, wanted in cases:
        whole = loss(logits, wanted, task, 0.1, weights, focal=focal)
        parts = [
            len(x) / 12 * loss(x, y, task, 0.1, weights, focal=focal)
            for x, y in zip(logits.tensor_split([7]), wanted.tensor_split([7]), strict=True)
        ]
        assert torch.isclose(sum(parts, torch.zeros(())), whole)


def test_focal_loss_of_a_certain_row_has_a_finite_gradient() -> None:
    logits = torch.tensor([[200.0, -200.0]], requires_grad=True)
    torch.autograd.backward(loss(logits, torch.tensor([0]), "classification", focal=0.5))
    assert logits.grad is not None and bool(logits.grad.isfinite().all())


def test_standardised_targets_come_back_in_their_units(splits: SearchSplits) -> None:
    info = replace(
        splits.info, task="regression", classes=("x", "y"), target_mean=(10.0, 0.0), target_std=(2.0, 0.5)
    )
    targets = torch.tensor([[12.0, 1.0], [6.0, -0.5]])
    assert standardised(targets, info).tolist() == [[1.0, 2.0], [-2.0, -1.0]]
    assert torch.equal(in_units(standardised(targets, info), info), targets)
    assert torch.equal(standardised(torch.tensor([1, 2]), splits.info), torch.tensor([1, 2]))
