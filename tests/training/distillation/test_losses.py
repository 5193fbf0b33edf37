"""What a student learns by."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from automl.records import Task
from automl.training.distillation.losses import distillation_loss, to_logits
from automl.training.steps.losses import loss, to_scores

TASKS: tuple[Task, ...] = ("classification", "multilabel", "regression")


def random_logits(seed: int, rows: int = 6) -> Tensor:
    return 3.0 * torch.randn(rows, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def gradient(logits: Tensor, value: Tensor) -> Tensor:
    (found,) = torch.autograd.grad(value, logits)
    return found


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_equal_answers_cost_nothing_and_others_something(task: Task, temperature: float) -> None:
    taught = random_logits(0)
    assert float(distillation_loss(taught, taught, task, temperature)) == pytest.approx(0.0, abs=1e-6)
    assert float(distillation_loss(random_logits(1), taught, task, temperature)) > 0.1


@pytest.mark.parametrize("task", TASKS)
def test_the_gradient_pulls_the_student_to_the_teacher_and_leaves_that_alone(task: Task) -> None:
    logits, taught = random_logits(1).requires_grad_(), random_logits(0).requires_grad_()
    value = distillation_loss(logits, taught, task, 2.0)
    (own,) = torch.autograd.grad(value, logits, retain_graph=True)
    assert torch.autograd.grad(value, taught, allow_unused=True)[0] is None
    with torch.no_grad():
        closer = distillation_loss(logits - 0.1 * own, taught, task, 2.0)
    assert closer < value


@pytest.mark.parametrize("task", ["classification", "multilabel"])
def test_at_temperature_1_the_gradient_is_that_of_the_loss_on_soft_labels(task: Task) -> None:
    taught = random_logits(0)
    logits = random_logits(1).requires_grad_()
    own = gradient(logits, distillation_loss(logits, taught, task))
    soft = gradient(logits, loss(logits, to_scores(taught, task), task))
    torch.testing.assert_close(own, soft.to(own.dtype), atol=1e-6, rtol=1e-5)


def test_a_regression_learns_by_the_squared_error() -> None:
    logits, taught = torch.tensor([[1.0, 2.0]]), torch.tensor([[0.0, 4.0]])
    assert float(distillation_loss(logits, taught, "regression", 9.0)) == pytest.approx((1.0 + 4.0) / 2)


@pytest.mark.parametrize("task", ["classification", "multilabel"])
def test_gradients_keep_their_size_at_a_high_temperature(task: Task) -> None:
    """There, the gradient is (z - v) / n for centred logits (Hinton et al. 2015, equation 4), whatever the T."""
    taught = random_logits(0) - random_logits(0).mean(dim=1, keepdim=True)
    logits = (random_logits(1) - random_logits(1).mean(dim=1, keepdim=True)).requires_grad_()
    found = [gradient(logits, distillation_loss(logits, taught, task, t)) for t in (200.0, 2000.0)]
    torch.testing.assert_close(found[0], found[1], atol=2e-3, rtol=2e-2)
    scale = 1.0 / (4 * 6) if task == "classification" else 0.25 / (4 * 6)
    wanted = scale * (logits - taught).detach()
    torch.testing.assert_close(found[0], wanted.to(found[0].dtype), atol=2e-3, rtol=5e-2)


@pytest.mark.parametrize("task", TASKS)
def test_rows_count_alike_so_that_micro_batches_add_up(task: Task) -> None:
    logits, taught = random_logits(1), random_logits(0)
    whole = distillation_loss(logits, taught, task, 2.0)
    parts = [distillation_loss(logits[part], taught[part], task, 2.0) for part in (slice(0, 2), slice(2, 6))]
    assert float(2 / 6 * parts[0] + 4 / 6 * parts[1]) == pytest.approx(float(whole), rel=1e-5)


@pytest.mark.parametrize("task", TASKS)
def test_logits_of_scores_have_these_scores(task: Task) -> None:
    scores = to_scores(random_logits(2), task)
    torch.testing.assert_close(to_scores(to_logits(scores, task), task), scores, atol=1e-5, rtol=1e-4)


def test_logits_of_certain_scores_are_finite() -> None:
    certain = torch.tensor([[1.0, 0.0, 0.0, 0.0]])
    for task in TASKS[:2]:
        assert torch.isfinite(to_logits(certain, task)).all()
