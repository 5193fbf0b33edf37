"""What the network sees."""

from __future__ import annotations

from dataclasses import replace

import pytest

from automl.records import SearchSplits
from automl.training.models import input_size, model_arguments


@pytest.mark.parametrize(
    ("img_size", "upscale", "expected"),
    [(32, 1.0, 32), (32, 2.0, 64), (64, 2.0, 96), (96, 1.5, 96), (128, 2.0, 128)],
)
def test_small_pictures_are_enlarged_and_large_ones_are_not(
    img_size: int, upscale: float, expected: int, splits: SearchSplits
) -> None:
    info = replace(splits.info, img_size=img_size)
    assert input_size({"model": "resnet10t", "upscale": upscale}, info) == expected


def test_transformer_is_told_its_size_and_cuts_small_pictures_finer(splits: SearchSplits) -> None:
    arguments = model_arguments({"model": "vit_tiny_patch16_224"}, splits.info)
    assert (arguments["img_size"], arguments["patch_size"]) == (32, 4)


@pytest.mark.parametrize(
    ("model", "size", "patch"),
    [("convnext_atto", 32, 2), ("convnext_atto", 64, None), ("swin_tiny_patch4_window7_224", 32, 2)],
)
def test_stem_of_patches_is_made_smaller_for_small_pictures(
    model: str, size: int, patch: int | None, splits: SearchSplits
) -> None:
    arguments = model_arguments({"model": model}, replace(splits.info, img_size=size))
    assert arguments.get("patch_size") == patch


def test_picture_that_would_shrink_to_a_point_is_enlarged_where_the_space_does_not_search_it(
    splits: SearchSplits,
) -> None:
    assert input_size({"model": "resnet18"}, splits.info) == 64
    assert input_size({"model": "resnet18", "upscale": 1.0}, splits.info) == 32
    assert input_size({"model": "convnext_atto"}, splits.info) == 32
    assert input_size({"model": "resmlp_12_224"}, splits.info) == 32


def test_pretrained_networks_may_see_more_pixels(splits: SearchSplits) -> None:
    config = {"model": "resnet10t", "upscale": 4.0}
    assert input_size(config, splits.info) == 96
    assert input_size({**config, "pretrained": True}, splits.info) == 128


def test_width_scales_the_stages_of_a_resnet(splits: SearchSplits) -> None:
    assert model_arguments({"model": "resnet10t", "width": 0.5}, splits.info)["channels"] == [
        32,
        64,
        128,
        256,
    ]
