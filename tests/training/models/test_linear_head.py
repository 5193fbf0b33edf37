"""The network of the linear head on small pixels: linear in pixels that are averaged, for images of any size."""

from __future__ import annotations

import pytest
import torch

from automl.spaces.architectures.factories import LINEAR_ON_PIXELS, create
from automl.training.models.linear_head import SIDE, LinearOnPixels


@pytest.mark.parametrize("size", [8, 16, 50])
def test_images_of_any_size_have_an_output_for_each_class(size: int) -> None:
    assert LinearOnPixels(5, in_chans=1)(torch.rand(2, 1, size, size)).shape == (2, 5)


def test_outputs_do_not_change_if_an_image_is_enlarged_by_whole_pixels() -> None:
    torch.manual_seed(0)
    model, images = LinearOnPixels(3), torch.rand(2, 3, SIDE, SIDE)
    enlarged = images.repeat_interleave(4, dim=2).repeat_interleave(4, dim=3)
    assert torch.allclose(model(images), model(enlarged), atol=1e-5)


def test_name_in_model_folders_builds_the_network() -> None:
    assert isinstance(create(LINEAR_ON_PIXELS, num_classes=4, in_chans=3), LinearOnPixels)
