"""Models get the memory format in which convolutions are fast and safe."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from automl.records import Config, SearchSplits
from automl.training.evaluate import predict_rows
from automl.training.models import memory_format
from automl.training.models.build import build_model
from automl.training.models.hyperparameters import Recipe
from automl.training.models.memory_format import FEWEST_AT_ONCE, at_once, channels_last


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


def test_few_large_images_and_many_small_ones_go_at_once_through_a_cpu() -> None:
    assert [at_once(size, "cpu", most=256) for size in (16, 96, 224, 4096)] == [256, 56, 10, FEWEST_AT_ONCE]
    assert at_once(224, "cpu", most=4) == 4
    assert at_once(224, "cpu", most=256, threads=2) == 20
    assert at_once(224, "cuda", most=256) == 256


def test_parts_of_a_batch_have_the_outputs_of_the_whole(
    config: Config, splits: SearchSplits, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    model = build_model(Recipe.from_config(config), splits.info)
    model.register_forward_pre_hook(lambda module, given: seen.append(len(given[0])))
    whole, _ = predict_rows(model, splits.val, splits.info, size=32)
    monkeypatch.setattr(memory_format, "CACHED_PIXELS", 10 * 32**2)
    parts, _ = predict_rows(model, splits.val, splits.info, size=32)
    assert seen[0] == 48
    assert max(seen[1:]) <= 10
    torch.testing.assert_close(parts, whole, atol=1e-5, rtol=1e-4)
