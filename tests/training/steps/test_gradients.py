"""A batch in parts gives the gradient of the whole batch."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from automl.training.steps.gradients import Gradients


def _model() -> nn.Module:
    torch.manual_seed(0)
    # Without batch norm the parts' mean is exactly the whole.
    return nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4)
    )


@pytest.mark.parametrize("n", [64, 65, 20])
def test_replicas_give_the_gradient_of_the_whole_batch(n: int) -> None:
    generator = torch.Generator().manual_seed(1)
    images, targets = (
        torch.randn(n, 3, 8, 8, generator=generator),
        torch.randint(0, 4, (n,), generator=generator),
    )
    found = []
    for replicas in (1, 2, 3):
        model = _model()

        def loss_of(x: Tensor, y: Tensor, model: nn.Module = model) -> Tensor:
            return nn.functional.cross_entropy(model(x), y)

        gradients = Gradients(model, loss_of, replicas)
        value = gradients(images, targets)
        gradients.close()
        found.append((value, [p.grad for p in model.parameters()]))
    whole_value, whole = found[0]
    for value, parts in found[1:]:
        assert torch.allclose(value, whole_value, atol=1e-6)
        for a, b in zip(whole, parts, strict=True):
            assert a is not None and b is not None
            assert torch.allclose(a, b, atol=1e-6)


@pytest.mark.parametrize("replicas", [1, 2])
@pytest.mark.parametrize("n", [64, 65])
def test_batch_that_does_not_fit_is_accumulated_to_the_same_gradient(n: int, replicas: int) -> None:
    generator = torch.Generator().manual_seed(2)
    images, targets = (
        torch.randn(n, 3, 8, 8, generator=generator),
        torch.randint(0, 4, (n,), generator=generator),
    )
    found, seen = [], []
    for limit in (n, 20):
        model = _model()

        def loss_of(x: Tensor, y: Tensor, model: nn.Module = model, limit: int = limit) -> Tensor:
            if len(x) > limit:
                raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
            seen.append(len(x))
            return nn.functional.cross_entropy(model(x), y)

        gradients = Gradients(model, loss_of, replicas)
        for _ in range(2):  # the second batch knows the limit
            value = gradients(images, targets)
        gradients.close()
        found.append((value, [p.grad for p in model.parameters()]))
        assert (gradients.micro_batch.halvings > 0) == (limit < n)
    (whole_value, whole), (value, accumulated) = found
    assert max(seen[-3:]) <= 20
    assert torch.allclose(value, whole_value, atol=1e-6)
    for a, b in zip(whole, accumulated, strict=True):
        assert a is not None and b is not None
        assert torch.allclose(a, b, atol=1e-6)


def test_scaled_loss_scales_the_gradient_and_not_the_value() -> None:
    images, targets = torch.randn(32, 3, 8, 8), torch.zeros(32, dtype=torch.int64)
    model = _model()

    def loss_of(x: Tensor, y: Tensor) -> Tensor:
        return nn.functional.cross_entropy(model(x), y)

    plain = Gradients(model, loss_of)
    value = plain(images, targets)
    expected = [8.0 * p.grad for p in model.parameters() if p.grad is not None]
    scaled = Gradients(model, loss_of, scale=lambda loss: 8.0 * loss)
    assert torch.equal(scaled(images, targets), value)
    for wanted, parameter in zip(expected, model.parameters(), strict=True):
        assert parameter.grad is not None and torch.allclose(parameter.grad, wanted)


def test_unused_parameter_has_no_gradient() -> None:
    model = _model()
    spare = nn.Linear(2, 2)
    model.register_module("spare", spare)

    def loss_of(x: Tensor, y: Tensor) -> Tensor:
        features = x
        for name, layer in model.named_children():
            features = features if name == "spare" else layer(features)
        return nn.functional.cross_entropy(features, y)

    gradients = Gradients(model, loss_of, replicas=2)
    gradients(torch.randn(64, 3, 8, 8), torch.zeros(64, dtype=torch.int64))
    gradients.close()
    assert spare.weight.grad is None
