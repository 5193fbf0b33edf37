"""Every optimizer of the presets trains, decays only kernels, and can be saved."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from automl.spaces import SearchSpace, presets
from automl.training.models.hyperparameters import Recipe
from automl.training.steps.optimizer_step import OptimizerStep
from automl.training.steps.optimizers import make_optimizer

OFFERED = sorted(
    {
        str(choice)
        for preset in presets()
        for domain in SearchSpace.load(preset).parameters["opt"]
        for choice in getattr(domain, "choices", ())
    }
)
LR = {"sgd": 0.1, "momentum": 0.1, "lion": 3e-3}


def _model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 2),
    )


def _train(model: nn.Module, optimizer: torch.optim.Optimizer, steps: int) -> list[float]:
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(32, 3, 8, 8, generator=generator)
    targets = (images.mean((1, 2, 3)) > 0).long()
    losses = []
    for _ in range(steps):
        loss = nn.functional.cross_entropy(model(images), targets)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        losses.append(float(loss.detach()))
    return losses


def test_presets_offer_the_usual_optimizers() -> None:
    assert set(OFFERED) >= {"adamw", "nadamw", "adopt", "muon", "lamb", "lion", "sgd", "momentum"}


@pytest.mark.parametrize("opt", OFFERED)
def test_optimizer_lowers_the_loss(opt: str) -> None:
    model = _model()
    optimizer = make_optimizer(model, Recipe("", lr=LR.get(opt, 1e-2), opt=opt, weight_decay=1e-3))
    losses = _train(model, optimizer, 40)
    assert losses[-1] < 0.8 * losses[0]


@pytest.mark.parametrize("opt", OFFERED)
def test_decay_shrinks_kernels_and_spares_norms_and_biases(opt: str) -> None:
    moved = []
    for decay in (0.0, 0.5):
        model = _model()
        optimizer = make_optimizer(model, Recipe("", lr=LR.get(opt, 1e-2), opt=opt, weight_decay=decay))
        _train(model, optimizer, 1)
        _train(model, optimizer, 1)
        moved.append({name: p.detach().clone() for name, p in model.named_parameters()})
    plain, decayed = moved
    assert not torch.equal(plain["0.weight"], decayed["0.weight"])
    for group in optimizer.param_groups:
        spared = all(p.ndim <= 1 for p in group["params"])
        assert group["weight_decay"] == (0.0 if spared else 0.5)


@pytest.mark.parametrize("opt", OFFERED)
def test_state_of_an_optimizer_resumes_exactly(opt: str) -> None:
    recipe = Recipe("", lr=LR.get(opt, 1e-2), opt=opt, weight_decay=1e-3)
    model = _model()
    optimizer = make_optimizer(model, recipe)
    _train(model, optimizer, 3)
    other = copy.deepcopy(model)
    second = make_optimizer(other, recipe)
    second.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    assert _train(other, second, 3) == _train(model, optimizer, 3)


@pytest.mark.parametrize(("norm", "expected"), [(2.0, 1.0), (0.5, 0.5)])
def test_gradient_is_clipped_to_the_norm_and_no_shorter_one_is_touched(norm: float, expected: float) -> None:
    model = nn.Linear(2, 1, bias=False)
    update = OptimizerStep(model, torch.optim.SGD(model.parameters(), lr=1.0), clip_grad=1.0)
    before = model.weight.detach().clone()
    model.weight.grad = norm * torch.tensor([[0.6, 0.8]])
    update()
    assert torch.allclose(before - model.weight.detach(), expected * torch.tensor([[0.6, 0.8]]), atol=1e-5)


def test_half_precision_scales_the_gradient_back_and_leaves_out_overflows() -> None:
    model = nn.Linear(2, 1, bias=False)
    update = OptimizerStep(
        model, torch.optim.SGD(model.parameters(), lr=1.0), clip_grad=0.0, precision="fp16"
    )
    before = model.weight.detach().clone()
    torch.autograd.backward(update.scale(model(torch.tensor([[1.0, 2.0]])).sum()))
    assert model.weight.grad is not None and float(model.weight.grad[0, 0]) > 1e3
    update()
    assert torch.allclose(before - model.weight.detach(), torch.tensor([[1.0, 2.0]]))
    scale = float(update.state()["scale"])
    model.weight.grad = torch.tensor([[float("inf"), 0.0]])
    after = model.weight.detach().clone()
    update()
    assert torch.equal(model.weight.detach(), after) and float(update.state()["scale"]) == scale / 2
