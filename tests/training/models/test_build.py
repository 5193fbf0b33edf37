"""What the network sees."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from automl.records import SearchSplits
from automl.torch_setup import import_timm
from automl.training.models.build import build_model, input_size, model_arguments
from automl.training.models.hyperparameters import Recipe
from automl.training.models.weight_sources import in_folder


@pytest.mark.parametrize(
    ("img_size", "upscale", "expected"),
    [(32, 1.0, 32), (32, 2.0, 64), (64, 2.0, 96), (96, 1.5, 96), (128, 2.0, 128)],
)
def test_small_images_are_enlarged_and_large_ones_are_not(
    img_size: int, upscale: float, expected: int, splits: SearchSplits
) -> None:
    info = replace(splits.info, img_size=img_size)
    assert input_size(Recipe("resnet10t", lr=0.1, upscale=upscale), info) == expected


def test_transformer_gets_its_image_size_and_finer_patches_for_small_images(splits: SearchSplits) -> None:
    arguments = model_arguments(Recipe("vit_tiny_patch16_224", lr=0.1), splits.info)
    assert (arguments["img_size"], arguments["patch_size"]) == (32, 4)


@pytest.mark.parametrize(
    ("model", "size", "patch"),
    [("convnext_atto", 32, 2), ("convnext_atto", 64, None), ("swin_tiny_patch4_window7_224", 32, 2)],
)
def test_stem_of_patches_is_made_smaller_for_small_images(
    model: str, size: int, patch: int | None, splits: SearchSplits
) -> None:
    arguments = model_arguments(Recipe(model, lr=0.1), replace(splits.info, img_size=size))
    assert arguments.get("patch_size") == patch


def test_image_that_would_shrink_to_a_point_is_enlarged_where_the_space_does_not_search_it(
    splits: SearchSplits,
) -> None:
    assert input_size(Recipe("resnet18", lr=0.1), splits.info) == 64
    assert input_size(Recipe("resnet18", lr=0.1, upscale=1.0), splits.info) == 32
    assert input_size(Recipe("convnext_atto", lr=0.1), splits.info) == 32
    assert input_size(Recipe("resmlp_12_224", lr=0.1), splits.info) == 32


@pytest.mark.parametrize("size", [128, None])
def test_weights_that_fit_one_size_only_have_that_one(
    size: int | None, splits: SearchSplits, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    values = import_timm().create_model("efficientformerv2_s0").state_dict()
    save_file(values, tmp_path / "efficientformerv2_s0.safetensors")
    (weights,) = in_folder(tmp_path).values()
    recipe = Recipe("efficientformerv2_s0", lr=0.1, pretrained=True, size=size)
    assert input_size(recipe, splits.info) == 224
    model = build_model(recipe, splits.info, weights=weights)
    name = "stages.2.blocks.4.token_mixer.attention_biases"
    assert torch.equal(model.state_dict()[name], values[name])
    assert input_size(replace(recipe, pretrained=False, size=None), splits.info) < 224


def test_pretrained_networks_may_see_more_pixels(splits: SearchSplits) -> None:
    recipe = Recipe("resnet10t", lr=0.1, upscale=4.0)
    assert input_size(recipe, splits.info) == 96
    assert input_size(replace(recipe, pretrained=True), splits.info) == 128


@pytest.mark.parametrize(
    ("model", "width", "channels", "stem"),
    [
        ("resnet10t", 0.5, [32, 64, 128, 256], 16),
        ("resnet10t", 0.375, [24, 48, 96, 192], 12),
        ("resnet10t", 0.1, [8, 12, 25, 51], 8),
        ("resnet18", 0.5, [32, 64, 128, 256], None),
        ("resnet10t", 1.0, None, None),
    ],
)
def test_width_scales_the_stages_of_a_resnet_and_a_stem_of_several_layers(
    model: str, width: float, channels: list[int] | None, stem: int | None, splits: SearchSplits
) -> None:
    arguments = model_arguments(Recipe(model, lr=0.1, width=width), splits.info)
    assert (arguments.get("channels"), arguments.get("stem_width")) == (channels, stem)


def test_stem_of_a_narrow_resnet_does_not_take_most_of_the_multiplications(splits: SearchSplits) -> None:
    narrow = build_model(Recipe("resnet10t", lr=0.1, width=0.25), splits.info)
    whole = build_model(Recipe("resnet10t", lr=0.1, width=1.0), splits.info)
    sizes = [sum(p.numel() for p in model.get_submodule("conv1").parameters()) for model in (narrow, whole)]
    assert sizes[0] < sizes[1] / 10
    assert narrow(torch.zeros(2, 3, 32, 32)).shape == (2, splits.info.n_outputs)
