"""Models get the memory format in which convolutions are fast and safe."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from automl.training.models.memory_format import channels_last


@pytest.mark.parametrize("channels", [2, 3, 4, 7])
def test_strided_points_over_few_channels_train_as_they_would_in_the_usual_layout(channels: int) -> None:
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Conv2d(channels, 48, 1, stride=2, bias=False), nn.Conv2d(48, 8, 3))
    other = channels_last(copy.deepcopy(plain), "cpu")
    for _ in range(20):  # memory that is written beyond its end is noticed sooner or later
        images = torch.randn(16, channels, 32, 32, requires_grad=True)
        found = []
        for model, given in ((plain, images), (other, images.contiguous(memory_format=torch.channels_last))):
            model.zero_grad()
            torch.autograd.backward(model(given).square().mean())
            found.append([parameter.grad for parameter in model.parameters()])
        for a, b in zip(*found, strict=True):
            assert a is not None and b is not None
            torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-3)


def test_other_convolutions_lie_channels_last() -> None:
    model = channels_last(nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3, stride=2)), "cpu")
    for parameter in (module.weight for module in model.modules() if isinstance(module, nn.Conv2d)):
        assert parameter.is_contiguous(memory_format=torch.channels_last)
