"""Random layers in several threads give the same training each time."""

from __future__ import annotations

import copy
import time

import pytest
import torch
from torch import Tensor, nn

from automl.torch_setup import import_timm
from automl.training.hardware.random_layers import drawing, separate
from automl.training.steps.gradients import Gradients


class _Uneven(nn.Module):
    """A network whose threads take turns at random: it waits before its random layers."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(8, 16), nn.Linear(16, 1)
        self.path, self.dropout = import_timm().layers.DropPath(0.5), nn.Dropout(0.5)

    def forward(self, x: Tensor) -> Tensor:
        time.sleep(
            float(
                torch.empty(()).uniform_(0.0, 0.004, generator=torch.Generator().manual_seed(time.time_ns()))
            )
        )
        found: Tensor = self.last(self.dropout(self.path(self.first(x))))
        return found


def _gradients_of(model: nn.Module, steps: int = 6) -> list[Tensor]:
    torch.manual_seed(5)
    images, found = torch.ones(64, 8), list[Tensor]()
    gradients = Gradients(model, lambda x, _: model(x).square().mean(), replicas=2)
    for _ in range(steps):
        gradients(images, images)
        found += [parameter.grad.clone() for parameter in model.parameters() if parameter.grad is not None]
    gradients.close()
    return found


def test_threads_draw_the_same_numbers_each_time() -> None:
    torch.manual_seed(0)
    model = _Uneven().train()
    first = _gradients_of(copy.deepcopy(model))
    for _ in range(3):
        again = _gradients_of(copy.deepcopy(model))
        assert all(torch.equal(one, other) for one, other in zip(first, again, strict=True))


def test_layers_leave_out_the_right_share_and_keep_the_mean() -> None:
    model = nn.Sequential(import_timm().layers.DropPath(0.25), nn.Dropout(0.5)).train()
    assert separate(model)
    x = torch.ones(4000, 10)
    with drawing(1):
        paths, dropped = model[0](x), model[1](x)
    assert float((paths == 0).all(dim=1).float().mean()) == pytest.approx(0.25, abs=0.03)
    assert float((dropped == 0).float().mean()) == pytest.approx(0.5, abs=0.02)
    assert float(paths.mean()) == pytest.approx(1.0, abs=0.05) == float(dropped.mean())
    with drawing(1):
        assert torch.equal(model.eval()(x), x)


def test_network_without_random_layers_draws_nothing() -> None:
    assert not separate(nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.0)))
    torch.manual_seed(3)
    before = torch.get_rng_state()
    model = nn.Linear(8, 1)
    torch.set_rng_state(before)
    gradients = Gradients(model, lambda x, _: model(x).mean(), replicas=2)
    gradients(torch.ones(64, 8), torch.ones(64))
    gradients.close()
    assert torch.equal(torch.get_rng_state(), before)
